using System.Text;
using Fabric.Runtime;
using Fabric.ZooKeeper.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>An embedded server on a free port with a directory of its own, deleted at the end.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly bool _ownsDirectory;

    private TestServer(ZooKeeperServer server, string directory, bool ownsDirectory) =>
        (Server, Directory, _ownsDirectory) = (server, directory, ownsDirectory);

    public ZooKeeperServer Server { get; }

    public string Directory { get; }

    public int Port => Server.Port;

    public static string NewDirectory() => System.IO.Directory.CreateTempSubdirectory("fabric-zk-").FullName;

    /// <param name="configure">Changes the options.</param>
    /// <param name="directory">A directory that the caller keeps; null for a fresh one.</param>
    /// <param name="runtime">Null for the real machine.</param>
    /// <param name="logger">Null for none.</param>
    public static async Task<TestServer> StartAsync(
        Func<ZooKeeperServerOptions, ZooKeeperServerOptions>? configure = null,
        string? directory = null,
        FabricRuntime? runtime = null,
        ILogger? logger = null)
    {
        var path = directory ?? NewDirectory();
        var options = new ZooKeeperServerOptions { DataDirectory = path, Port = 0 };
        var server = await ZooKeeperServer.StartAsync(
            runtime ?? FabricRuntime.System, configure?.Invoke(options) ?? options, logger ?? NullLogger.Instance);
        return new TestServer(server, path, directory is null);
    }

    public Task<RawClient> OpenAsync(int timeOut = 30_000) => RawClient.OpenAsync(Port, timeOut);

    /// <summary>Asks a four-letter word over a connection of its own.</summary>
    public async Task<string> AskAsync(string word)
    {
        await using var client = await RawClient.ConnectTcpAsync(Port);
        await client.SendBytesAsync(Encoding.ASCII.GetBytes(word));
        return Encoding.UTF8.GetString(await client.ReadToEndAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        if (_ownsDirectory)
        {
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }
}
