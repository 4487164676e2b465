namespace Fabric.Grpc.Server;

/// <summary>
/// What a server answers: methods with their bodies. A body that throws <see cref="GrpcException"/> chooses the status; one that ends
/// with <see cref="OperationCanceledException"/> after the call was cancelled gets the status of that; any other exception is a
/// defect: it is logged, and the caller sees <see cref="GrpcStatusCode.Unknown"/> without its text. Filled before the server starts.
/// </summary>
public sealed class GrpcService
{
    private readonly Dictionary<string, Func<ServerCallPipes, GrpcServerOptions, Task>> _bodies = new(StringComparer.Ordinal);

    internal IReadOnlyDictionary<string, Func<ServerCallPipes, GrpcServerOptions, Task>> Bodies => _bodies;

    /// <summary>Adds a method with one request and one response.</summary>
    public GrpcService Unary<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<TRequest, GrpcServerCall, Task<TResponse>> body)
    {
        method.Require(GrpcMethodType.Unary);
        return Add(method, async (pipes, options) =>
        {
            var request = await Requests(pipes, method, options).ReadSingleAsync(pipes.Token);
            await Responses(pipes, method).WriteAsync(await body(request, pipes.Call), pipes.Token);
        });
    }

    /// <summary>Adds a method with many requests and one response.</summary>
    public GrpcService ClientStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<GrpcReader<TRequest>, GrpcServerCall, Task<TResponse>> body)
    {
        method.Require(GrpcMethodType.ClientStreaming);
        return Add(method, async (pipes, options) =>
        {
            var response = await body(Requests(pipes, method, options), pipes.Call);
            await Responses(pipes, method).WriteAsync(response, pipes.Token);
        });
    }

    /// <summary>Adds a method with one request and many responses.</summary>
    public GrpcService ServerStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<TRequest, GrpcWriter<TResponse>, GrpcServerCall, Task> body)
    {
        method.Require(GrpcMethodType.ServerStreaming);
        return Add(method, async (pipes, options) =>
        {
            var request = await Requests(pipes, method, options).ReadSingleAsync(pipes.Token);
            await body(request, Responses(pipes, method), pipes.Call);
        });
    }

    /// <summary>Adds a method with many requests and many responses.</summary>
    public GrpcService Duplex<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<GrpcReader<TRequest>, GrpcWriter<TResponse>, GrpcServerCall, Task> body)
    {
        method.Require(GrpcMethodType.DuplexStreaming);
        return Add(method, (pipes, options) => body(Requests(pipes, method, options), Responses(pipes, method), pipes.Call));
    }

    private static GrpcReader<TRequest> Requests<TRequest, TResponse>(
        ServerCallPipes pipes, GrpcMethod<TRequest, TResponse> method, GrpcServerOptions options) =>
        new(pipes, method.RequestMarshaller, options.MessageBytesMax);

    private static GrpcWriter<TResponse> Responses<TRequest, TResponse>(
        ServerCallPipes pipes, GrpcMethod<TRequest, TResponse> method) => new(pipes, method.ResponseMarshaller);

    private GrpcService Add<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<ServerCallPipes, GrpcServerOptions, Task> body)
    {
        _bodies.Add(method.Path, body);
        return this;
    }
}
