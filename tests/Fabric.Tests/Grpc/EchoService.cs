using Fabric.Grpc;
using Fabric.Grpc.Server;
using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc;

/// <summary>The methods of <c>echo.proto</c>.</summary>
internal static class EchoMethods
{
    public static readonly GrpcMethod<EchoRequest, EchoReply> Say = Define("Say", GrpcMethodType.Unary);
    public static readonly GrpcMethod<EchoRequest, EchoReply> Collect = Define("Collect", GrpcMethodType.ClientStreaming);
    public static readonly GrpcMethod<EchoRequest, EchoReply> Repeat = Define("Repeat", GrpcMethodType.ServerStreaming);
    public static readonly GrpcMethod<EchoRequest, EchoReply> Talk = Define("Talk", GrpcMethodType.DuplexStreaming);

    public static GrpcMethod<EchoRequest, EchoReply> Define(string name, GrpcMethodType type) => new(
        "fabric.test.Echo", name, type, GrpcMarshaller.ForProtobuf<EchoRequest>(), GrpcMarshaller.ForProtobuf<EchoReply>());
}

/// <summary>The service of <c>echo.proto</c>, which also tells its test what it saw.</summary>
internal sealed class EchoService
{
    private readonly TaskCompletionSource<GrpcServerCall> _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _written;

    /// <summary>The first call that was cancelled while it ran.</summary>
    public Task<GrpcServerCall> Cancelled => _cancelled.Task;

    /// <summary>Replies that <c>Repeat</c> has written.</summary>
    public int Written => Volatile.Read(ref _written);

    public GrpcService Build() => new GrpcService()
        .Unary(EchoMethods.Say, SayAsync)
        .ClientStreaming(EchoMethods.Collect, CollectAsync)
        .ServerStreaming(EchoMethods.Repeat, RepeatAsync)
        .Duplex(EchoMethods.Talk, TalkAsync);

    private static void FailIfAsked(EchoRequest request)
    {
        if (request.FailWith < 0)
        {
            throw new InvalidOperationException(request.Text);
        }

        if (request.FailWith > 0)
        {
            throw new GrpcException(
                new GrpcStatus((GrpcStatusCode)request.FailWith, request.Text),
                new GrpcMetadata().Add("reason", "asked for").Add("reason-bin", new byte[] { 0, 255 }));
        }
    }

    private async Task<EchoReply> SayAsync(EchoRequest request, GrpcServerCall call)
    {
        FailIfAsked(request);
        if (request.Times < 0)
        {
            await ForeverAsync(call);
        }

        var started = new GrpcMetadata();
        foreach (var entry in call.Metadata.Where(entry => entry.Key.StartsWith("x-", StringComparison.Ordinal)))
        {
            _ = entry.IsBinary ? started.Add(entry.Key, entry.Bytes) : started.Add(entry.Key, entry.Text!);
        }

        await call.StartAsync(started);
        call.Trailers.Add("said", "yes");
        return new EchoReply { Text = request.Text, Payload = request.Payload, Number = (int)(call.Timeout?.TotalMilliseconds ?? 0) };
    }

    private static async Task<EchoReply> CollectAsync(GrpcReader<EchoRequest> requests, GrpcServerCall call)
    {
        var texts = new List<string>();
        await foreach (var request in requests.ReadAllAsync(call.CancellationToken))
        {
            FailIfAsked(request);
            texts.Add(request.Text);
        }

        return new EchoReply { Text = string.Join(',', texts), Number = texts.Count };
    }

    private async Task RepeatAsync(EchoRequest request, GrpcWriter<EchoReply> replies, GrpcServerCall call)
    {
        for (var number = 0; request.Times < 0 || number < request.Times; number++)
        {
            try
            {
                await replies.WriteAsync(
                    new EchoReply { Text = request.Text, Payload = request.Payload, Number = number }, call.CancellationToken);
            }
            catch (OperationCanceledException)
            {
                _cancelled.TrySetResult(call);
                throw;
            }

            Interlocked.Increment(ref _written);
        }

        FailIfAsked(request);
    }

    private async Task TalkAsync(GrpcReader<EchoRequest> requests, GrpcWriter<EchoReply> replies, GrpcServerCall call)
    {
        try
        {
            var number = 0;
            await foreach (var request in requests.ReadAllAsync(call.CancellationToken))
            {
                FailIfAsked(request);
                await replies.WriteAsync(
                    new EchoReply { Text = request.Text, Payload = request.Payload, Number = number++ }, call.CancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            _cancelled.TrySetResult(call);
            throw;
        }
    }

    private async Task ForeverAsync(GrpcServerCall call)
    {
        try
        {
            await Task.Delay(Timeout.Infinite, call.CancellationToken);
        }
        catch (OperationCanceledException)
        {
            _cancelled.TrySetResult(call);
            throw;
        }
    }
}
