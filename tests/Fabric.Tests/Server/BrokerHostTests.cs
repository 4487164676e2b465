using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Fabric.Broker;
using Fabric.Broker.Security;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
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

    /// <summary>A client that is told that the broker does not serve gives up; one that is cut looks for the next master.</summary>
    [Test]
    public async Task A_client_that_logs_in_while_the_broker_is_handed_over_is_told_nothing()
    {
        await using var house = new House();
        house.Host.Prepare();
        await house.Host.ServeAsync(new Epoch(1), Position.Zero, CancellationToken.None);
        using var client = await house.ConnectAsync();
        await client.GetStream().WriteAsync(OpenWireCodec.Encode(WireFormat.Default.ToInfo()));
        await house.Host.StopServingAsync("the test ends", handsOver: true);
        await client.GetStream().WriteAsync(OpenWireCodec.Encode(
            new ConnectionInfo { CommandId = 1, ResponseRequired = true, ConnectionId = new ConnectionId("c"), ClientId = "c", UserName = "admin", Password = "secret" }, WireFormat.Default.Version));
        await Task.Delay(100); // for the broker to read it; it is not cut before
        house.Successor.SetResult();
        var told = new List<IDataStructure>();
        var received = new MemoryStream();
        try
        {
            await client.GetStream().CopyToAsync(received).WaitAsync(Limit);
        }
        catch (IOException)
        {
            // Cut.
        }

        var rest = new ReadOnlySequence<byte>(received.ToArray());
        while (OpenWireCodec.TryReadFrame(ref rest, long.MaxValue, out var frame))
        {
            told.Add(OpenWireCodec.Decode(frame.ToArray(), told.Count == 0 ? 1 : WireFormat.Default.Version)!);
        }

        Assert.That(told, Has.None.InstanceOf<ExceptionResponse>().And.Some.InstanceOf<WireFormatInfo>());
    }

    [Test]
    public async Task Whatever_the_registry_says_the_clients_are_let_go_of()
    {
        await using var house = new House { Failure = new InvalidOperationException("no such registry") };
        house.Host.Prepare();
        await house.Host.ServeAsync(new Epoch(1), Position.Zero, CancellationToken.None);
        using var client = await house.ConnectAsync();
        await house.Host.StopServingAsync("another leads", handsOver: false);
        Assert.ThrowsAsync<SocketException>(() => house.ConnectAsync());
        await house.Host.ServeAsync(new Epoch(2), Position.Zero, CancellationToken.None);
        await house.Host.StopServingAsync("the test ends", handsOver: true);
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
                FabricRuntime.System, new BrokerOptions { Name = "test", Authenticator = UserTable.Single("admin", "secret") }, new OpenWirePayloadEditor(), advisories, NullLogger.Instance);
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

        /// <summary>What the registry answers, if it is nothing good.</summary>
        public Exception? Failure { get; init; }

        /// <summary>Ends when another master serves.</summary>
        public TaskCompletionSource Successor { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task WithdrawAsync() => Failure is null ? Task.CompletedTask : Task.FromException(Failure);

        public Task WaitForSuccessorAsync(CancellationToken cancellationToken) => Failure is null ? Successor.Task.WaitAsync(cancellationToken) : Task.FromException(Failure);

        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            await _broker.DisposeAsync();
        }
    }
}
