using System.Net;
using System.Net.Sockets;
using Fabric.Broker;
using Fabric.Runtime;
using Fabric.Server.Connections;
using Fabric.Server.Node;
using Fabric.Store.Journal;
using Fabric.Tests.Broker;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Server;

/// <summary>When the doors of a broker are open.</summary>
internal sealed class BrokerHostTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Test]
    public async Task A_client_that_comes_before_the_mastership_waits_and_is_served_then()
    {
        await using var house = new House();
        house.Host.Prepare();
        using var client = await house.ConnectAsync();
        var greeting = ReadAsync(client);
        await house.Host.ServeAsync(new Epoch(1), Position.Zero, CancellationToken.None);
        Assert.That(await greeting.WaitAsync(Limit), Is.GreaterThan(0));
        await house.Host.StopServingAsync("the test ends", handsOver: false);
        Assert.ThrowsAsync<SocketException>(() => house.ConnectAsync());
    }

    [Test]
    public async Task A_client_that_waited_in_vain_is_sent_away_at_once()
    {
        await using var house = new House();
        house.Host.Prepare();
        using var client = await house.ConnectAsync();
        var greeting = ReadAsync(client);
        await house.Host.StopServingAsync("another leads", handsOver: false);
        Assert.That(await greeting.WaitAsync(Limit), Is.Zero);
        Assert.ThrowsAsync<SocketException>(() => house.ConnectAsync());
        Assert.That(house.Published, Is.Empty);
    }

    [Test]
    public async Task A_port_that_is_taken_fails_only_when_it_is_needed()
    {
        await using var house = new House();
        var other = new TcpListener(IPAddress.Loopback, house.Port);
        other.Start();
        house.Host.Prepare();
        var failure = Assert.ThrowsAsync<IOException>(() => house.Host.ServeAsync(new Epoch(1), Position.Zero, CancellationToken.None))!;
        Assert.That(failure.Message, Does.Contain($"{house.Port}"));
        Assert.That(house.Host.Failure, Is.EqualTo(failure.Message));
        other.Stop();
        await house.Host.ServeAsync(new Epoch(2), Position.Zero, CancellationToken.None);
        Assert.That(house.Published, Is.EqualTo(new[] { $"tcp://localhost:{house.Port}" }));
        await house.Host.StopServingAsync("the test ends", handsOver: false);
    }

    /// <summary>Bytes of the first read; 0 when the connection was closed or reset.</summary>
    private static async Task<int> ReadAsync(TcpClient client)
    {
        try
        {
            return await client.GetStream().ReadAsync(new byte[1000]);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private sealed class House : IBrokerPresence
    {
        private readonly MessageBroker _broker;

        public House()
        {
            using (var probe = new TcpListener(IPAddress.Loopback, 0))
            {
                probe.Start();
                Port = ((IPEndPoint)probe.LocalEndpoint).Port;
            }

            var advisories = new Advisories("ID:test", "test");
            _broker = new MessageBroker(
                FabricRuntime.System, new BrokerOptions { Name = "test" }, new OpenWirePayloadEditor(), advisories, NullLogger.Instance);
            var openWire = new OpenWireOptions { Port = Port, BrokerId = "ID:test", BrokerName = "test" };
            Host = new BrokerHost(
                FabricRuntime.System, _broker, advisories, this, openWire, "localhost", NullLogger.Instance, () => { });
            Host.Use(new TestJournal(_broker));
        }

        public int Port { get; }

        public BrokerHost Host { get; }

        public IReadOnlyList<string> Published { get; private set; } = [];

        public async Task<TcpClient> ConnectAsync()
        {
            var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, Port);
            return client;
        }

        public void Publish(IReadOnlyList<string> services, Epoch epoch) => Published = services;

        public Task WithdrawAsync() => Task.CompletedTask;

        public Task WaitForSuccessorAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            await _broker.DisposeAsync();
        }
    }
}
