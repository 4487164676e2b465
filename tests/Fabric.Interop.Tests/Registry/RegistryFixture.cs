using System.Diagnostics;
using Fabric.Interop.Tests.ZooKeeper;
using Fabric.Registry;
using Fabric.Runtime;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Interop.Tests.Registry;

/// <summary>
/// A server for the tests of a class, and for every test a registry of its own on it (a chroot), with as many connections as it likes,
/// each of which can be cut.
/// </summary>
internal abstract class RegistryFixture
{
    protected const string Password = "admin";
    protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan SessionTimeout = TimeSpan.FromSeconds(2);

    private readonly List<IAsyncDisposable> _toDispose = [];
    private readonly Stack<Func<Task>> _cleanup = [];
    private string _chroot = null!;

    protected IZooKeeperHost Host { get; private set; } = null!;

    /// <summary>The registry as an observer sees it.</summary>
    protected FabricRegistry Observer { get; private set; } = null!;

    protected abstract IZooKeeperHost CreateHost();

    [OneTimeSetUp]
    public async Task StartServerAsync()
    {
        Host = CreateHost();
        await Host.StartAsync();
    }

    [OneTimeTearDown]
    public async Task StopServerAsync() => await Host.DisposeAsync();

    [SetUp]
    public async Task CreateRegistryAsync()
    {
        _chroot = $"/test-{Guid.NewGuid():N}";
        await using (var client = new ZooKeeperClient(
            FabricRuntime.System, new ZooKeeperClientOptions { ConnectString = $"127.0.0.1:{Host.Port}" }))
        {
            await client.ConnectAsync(CancellationToken.None).WaitAsync(Limit);
            await client.CreateAsync(_chroot, default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        }

        Observer = await ConnectAsync();
        await new FabricCreation { Password = Password }.CreateAsync(Observer);
    }

    [TearDown]
    public async Task CloseAsync()
    {
        for (var i = _toDispose.Count - 1; i >= 0; i--)
        {
            await _toDispose[i].DisposeAsync();
        }

        _toDispose.Clear();
        while (_cleanup.TryPop(out var clean))
        {
            await clean();
        }
    }

    protected string ConnectStringFor(int port) => $"127.0.0.1:{port}{_chroot}";

    protected RegistryOptions OptionsFor(int port, string password = Password) =>
        new() { ConnectString = ConnectStringFor(port), Password = password, SessionTimeout = SessionTimeout };

    /// <summary>A connection of its own, closed after the test.</summary>
    protected async Task<FabricRegistry> ConnectAsync() =>
        Keep(await FabricRegistry.ConnectAsync(FabricRuntime.System, OptionsFor(Host.Port)));

    /// <summary>A connection that the test can cut.</summary>
    protected async Task<(FabricRegistry Registry, TcpRelay Relay)> ConnectThroughRelayAsync()
    {
        var relay = new TcpRelay(Host.Port);
        _cleanup.Push(async () => await relay.DisposeAsync());
        return (Keep(await FabricRegistry.ConnectAsync(FabricRuntime.System, OptionsFor(relay.Port))), relay);
    }

    /// <summary>Disposes it after the test, before what was kept earlier.</summary>
    protected T Keep<T>(T disposable)
        where T : IAsyncDisposable
    {
        _toDispose.Add(disposable);
        return disposable;
    }

    /// <summary>Keeps a connection away until the server has expired its session, then lets it back.</summary>
    protected async Task ExpireAsync(FabricRegistry registry, TcpRelay relay)
    {
        var id = registry.Session.Id;
        relay.Refuse = true;
        relay.Cut();
        await EventuallyAsync(() => Task.FromResult(!registry.Session.IsConnected), "the loss of the connection is noticed");
        await Task.Delay(SessionTimeout + SessionTimeout); // a server expires a session by its clock; there is nothing to watch from here
        relay.Refuse = false;
        await EventuallyAsync(() => Task.FromResult(registry.Session.IsConnected && registry.Session.Id != id), "there is a new session");
    }

    protected static Task EventuallyAsync(Func<bool> condition, string what) => EventuallyAsync(() => Task.FromResult(condition()), what);

    protected static async Task EventuallyAsync(Func<Task<bool>> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.That(clock.Elapsed, Is.LessThan(Limit), $"in vain: {what}");
            await Task.Delay(20);
        }
    }
}
