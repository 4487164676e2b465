namespace Fabric.Grpc;

/// <summary>How many messages flow each way in a call.</summary>
public enum GrpcMethodType
{
    /// <summary>One request, one response.</summary>
    Unary,

    /// <summary>Many requests, one response.</summary>
    ClientStreaming,

    /// <summary>One request, many responses.</summary>
    ServerStreaming,

    /// <summary>Many requests and many responses, independent of each other.</summary>
    DuplexStreaming,
}

/// <summary>A method of a service, as the <c>.proto</c> file has it. Client and server use the same description. Immutable.</summary>
public sealed class GrpcMethod<TRequest, TResponse>
{
    /// <param name="service">Name of the service with its package, such as <c>fabric.v1.Replication</c>.</param>
    /// <param name="name">Name of the method.</param>
    /// <param name="type">Its call type.</param>
    /// <param name="requestMarshaller">Turns requests into bytes and back.</param>
    /// <param name="responseMarshaller">Turns responses into bytes and back.</param>
    public GrpcMethod(
        string service,
        string name,
        GrpcMethodType type,
        GrpcMarshaller<TRequest> requestMarshaller,
        GrpcMarshaller<TResponse> responseMarshaller)
    {
        ArgumentException.ThrowIfNullOrEmpty(service);
        ArgumentException.ThrowIfNullOrEmpty(name);
        (Service, Name, Type) = (service, name, type);
        (RequestMarshaller, ResponseMarshaller) = (requestMarshaller, responseMarshaller);
        Path = $"/{service}/{name}";
    }

    public string Service { get; }

    public string Name { get; }

    public GrpcMethodType Type { get; }

    public GrpcMarshaller<TRequest> RequestMarshaller { get; }

    public GrpcMarshaller<TResponse> ResponseMarshaller { get; }

    /// <summary>The path of its requests: <c>/service/name</c>.</summary>
    public string Path { get; }

    public override string ToString() => Path;

    internal void Require(GrpcMethodType type)
    {
        if (Type != type)
        {
            throw new ArgumentException($"{Path} is a {Type} method, not a {type} one");
        }
    }
}
