using Fabric.Grpc.Client;
using Fabric.Grpc.Server;

namespace Fabric.Tests.Grpc;

/// <summary>A server with the echo service and a channel to it, in one process.</summary>
internal abstract class EchoFixture
{
    /// <summary>Far beyond what anything here takes; only a hang reaches it.</summary>
    protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private GrpcServer? _server;
    private GrpcChannel? _channel;

    protected EchoService Echo { get; private set; } = new();

    protected GrpcServer Server => _server!;

    protected GrpcChannel Channel => _channel!;

    protected virtual GrpcServerOptions ServerOptions => new();

    protected virtual GrpcChannelOptions ChannelOptions => new();

    [SetUp]
    public async Task StartAsync()
    {
        Echo = new EchoService();
        _server = GrpcServer.Start("127.0.0.1", 0, [Echo.Build()], ServerOptions);
        _channel = new GrpcChannel($"127.0.0.1:{Server.Port}", ChannelOptions);
    }

    [TearDown]
    public async Task StopAsync()
    {
        _channel?.Dispose();
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }
}
