namespace Fabric.Grpc.Server;

/// <summary>
/// What a server answers: methods with their bodies. A body that throws <see cref="GrpcException"/> chooses the status; one that ends
/// with <see cref="OperationCanceledException"/> after the call was cancelled gets the status of that; any other exception is a
/// defect: it is logged, and the caller sees <see cref="GrpcStatusCode.Unknown"/> without its text. Filled before the server starts.
/// </summary>
public sealed class GrpcService
{
    private readonly Dictionary<string, Func<ServerCallTransport, GrpcServerOptions, Task>> _bodies = new(StringComparer.Ordinal);

    internal IReadOnlyDictionary<string, Func<ServerCallTransport, GrpcServerOptions, Task>> Bodies => _bodies;

    /// <summary>Adds a method with one request and one response.</summary>
    public GrpcService Unary<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<TRequest, GrpcServerCall, Task<TResponse>> body)
    {
        method.Require(GrpcMethodType.Unary);
        return Add(method, async (transport, options) =>
        {
            var request = await Requests(transport, method, options).ReadSingleAsync(transport.Token);
            await Responses(transport, method).WriteAsync(await body(request, transport.Call), transport.Token);
        });
    }

    /// <summary>Adds a method with many requests and one response.</summary>
    public GrpcService ClientStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<GrpcReader<TRequest>, GrpcServerCall, Task<TResponse>> body)
    {
        method.Require(GrpcMethodType.ClientStreaming);
        return Add(method, async (transport, options) =>
        {
            var response = await body(Requests(transport, method, options), transport.Call);
            await Responses(transport, method).WriteAsync(response, transport.Token);
        });
    }

    /// <summary>Adds a method with one request and many responses.</summary>
    public GrpcService ServerStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<TRequest, GrpcWriter<TResponse>, GrpcServerCall, Task> body)
    {
        method.Require(GrpcMethodType.ServerStreaming);
        return Add(method, async (transport, options) =>
        {
            var request = await Requests(transport, method, options).ReadSingleAsync(transport.Token);
            await body(request, Responses(transport, method), transport.Call);
        });
    }

    /// <summary>Adds a method with many requests and many responses.</summary>
    public GrpcService Duplex<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<GrpcReader<TRequest>, GrpcWriter<TResponse>, GrpcServerCall, Task> body)
    {
        method.Require(GrpcMethodType.DuplexStreaming);
        return Add(method, (transport, options) => body(Requests(transport, method, options), Responses(transport, method), transport.Call));
    }

    private static GrpcReader<TRequest> Requests<TRequest, TResponse>(
        ServerCallTransport transport, GrpcMethod<TRequest, TResponse> method, GrpcServerOptions options) =>
        new(transport, method.RequestMarshaller, options.MessageBytesMax);

    private static GrpcWriter<TResponse> Responses<TRequest, TResponse>(
        ServerCallTransport transport, GrpcMethod<TRequest, TResponse> method) => new(transport, method.ResponseMarshaller);

    private GrpcService Add<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, Func<ServerCallTransport, GrpcServerOptions, Task> body)
    {
        _bodies.Add(method.Path, body);
        return this;
    }
}
