using Fabric.Runtime;
using Fabric.Tests.ZooKeeper.Server;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using NUnit.Framework.Constraints;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>A client and the script it talks to.</summary>
internal abstract class ClientFixture
{
    private readonly List<IAsyncDisposable> _owned = [];

    [TearDown]
    public async Task DisposeAsync()
    {
        // Servers first: a client that closes waits for its server's answer, and some clocks stand still.
        foreach (var owned in _owned.OrderBy(owned => owned is ZooKeeperClient))
        {
            await owned.DisposeAsync();
        }

        _owned.Clear();
    }

    protected ScriptedServer Serve()
    {
        var server = new ScriptedServer();
        _owned.Add(server);
        return server;
    }

    protected ZooKeeperClient Connect(ScriptedServer server, TimeProvider? time = null, Func<ZooKeeperClientOptions, ZooKeeperClientOptions>? change = null) =>
        Connect($"127.0.0.1:{server.Port}", time, change);

    protected ZooKeeperClient Connect(
        string connectString, TimeProvider? time = null, Func<ZooKeeperClientOptions, ZooKeeperClientOptions>? change = null)
    {
        var options = new ZooKeeperClientOptions { ConnectString = connectString };
        var client = new ZooKeeperClient(FabricRuntime.System with { Time = time ?? TimeProvider.System }, change?.Invoke(options) ?? options);
        _owned.Add(client);
        return client;
    }

    protected static Constraint Fails(ZooKeeperError error) =>
        Throws.TypeOf<ZooKeeperException>().With.Property("Error").EqualTo(error);

    protected static Task UntilAsync(ZooKeeperClient client, KeeperState state) => Wait.UntilAsync(() => client.State == state);
}
