using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Grpc.Server;
using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>A server with small windows for clients that speak HTTP/2 by hand.</summary>
internal abstract class RawServerFixture
{
    protected const int Window = 65_536;
    protected const int CallsMax = 5;

    protected static readonly GrpcMethod<EchoRequest, EchoReply> Deaf = EchoMethods.Define("Deaf", GrpcMethodType.ClientStreaming);
    protected static readonly GrpcMethod<EchoRequest, EchoReply> Stubborn = EchoMethods.Define("Stubborn", GrpcMethodType.ClientStreaming);

    private TaskCompletionSource _release = new();
    private GrpcServer? _server;
    private int _running;
    private int _runningMost;

    protected EchoService Echo { get; private set; } = new();

    protected int Port => _server!.Port;

    /// <summary>The most bodies of <see cref="Stubborn"/> that ran at a time.</summary>
    protected int RunningMost => Volatile.Read(ref _runningMost);

    [SetUp]
    public async Task StartAsync()
    {
        (Echo, _release) = (new EchoService(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        (_running, _runningMost) = (0, 0);
        var service = new GrpcService().ClientStreaming(Deaf, HearNothingAsync).ClientStreaming(Stubborn, StayAsync);
        var options = new GrpcServerOptions
        {
            StreamWindowBytes = Window,
            ConnectionWindowBytes = 2 * Window,
            CallsPerConnectionMax = CallsMax,
            KeepAlivePingDelay = Timeout.InfiniteTimeSpan,
        };
        _server = GrpcServer.Start("127.0.0.1", 0, [Echo.Build(), service], options);
    }

    [TearDown]
    public async Task StopAsync()
    {
        _release.TrySetResult();
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    protected static (string Name, string Value)[] Request(GrpcMethod<EchoRequest, EchoReply> method) =>
    [
        (":method", "POST"), (":scheme", "http"), (":path", method.Path), (":authority", "localhost"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    ];

    /// <summary>Begins a call that stays open.</summary>
    protected static Task OpenAsync(RawPeer peer, int stream, GrpcMethod<EchoRequest, EchoReply>? method = null) =>
        peer.SendHeadersAsync(stream, FrameFlags.None, Request(method ?? EchoMethods.Talk));

    protected static async Task CallAsync(RawPeer peer, int stream, GrpcMethod<EchoRequest, EchoReply> method, EchoRequest request)
    {
        await OpenAsync(peer, stream, method);
        await peer.SendMessageAsync(stream, request, FrameFlags.EndStream);
    }

    /// <summary>A whole call on a connection in which others may be in trouble.</summary>
    protected static async Task RequireCallAsync(RawPeer peer, int stream)
    {
        await CallAsync(peer, stream, EchoMethods.Say, new EchoRequest { Text = "alive" });
        await RequireOkAsync(peer, stream);
    }

    protected static async Task RequireOkAsync(RawPeer peer, int stream)
    {
        var response = await peer.ResponseAsync(stream);
        Assert.That((response[":status"], response["grpc-status"]), Is.EqualTo(("200", "0")));
    }

    /// <summary>A whole call on another connection.</summary>
    protected async Task RequireOthersUnharmedAsync()
    {
        using var channel = new GrpcChannel($"127.0.0.1:{Port}");
        var reply = await channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "unharmed" }).WaitAsync(RawPeer.Limit);
        Assert.That(reply.Text, Is.EqualTo("unharmed"));
    }

    private static async Task<EchoReply> HearNothingAsync(GrpcReader<EchoRequest> requests, GrpcServerCall call)
    {
        await Task.Delay(Timeout.Infinite, call.CancellationToken);
        return new EchoReply();
    }

    private async Task<EchoReply> StayAsync(GrpcReader<EchoRequest> requests, GrpcServerCall call)
    {
        var running = Interlocked.Increment(ref _running);
        for (var most = RunningMost; running > most; most = RunningMost)
        {
            Interlocked.CompareExchange(ref _runningMost, running, most);
        }

        await _release.Task;
        Interlocked.Decrement(ref _running);
        return new EchoReply();
    }
}
