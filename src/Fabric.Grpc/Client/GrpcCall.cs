namespace Fabric.Grpc.Client;

/// <summary>
/// A call that a client has opened. One task writes, one reads. Disposing of a call that has not ended cancels it: the server sees
/// it at once.
/// </summary>
public sealed class GrpcCall<TRequest, TResponse> : IAsyncDisposable
{
    private readonly ClientCallTransport _transport;

    internal GrpcCall(ClientCallTransport transport, GrpcMethod<TRequest, TResponse> method, int messageBytesMax)
    {
        _transport = transport;
        Requests = new GrpcWriter<TRequest>(transport, method.RequestMarshaller);
        Responses = new GrpcReader<TResponse>(transport, method.ResponseMarshaller, messageBytesMax);
        transport.Start();
    }

    /// <summary>Where requests are written, in calls that stream them.</summary>
    public GrpcWriter<TRequest> Requests { get; }

    /// <summary>Where responses are read.</summary>
    public GrpcReader<TResponse> Responses { get; }

    /// <summary>The metadata that came with the status; empty before the responses have been read to their end.</summary>
    public GrpcMetadata Trailers => _transport.Trailers;

    /// <summary>Waits for the response's metadata, which comes with or before the first message.</summary>
    /// <exception cref="GrpcException">The call ended without.</exception>
    public Task<GrpcMetadata> MetadataAsync(CancellationToken cancellationToken = default) => _transport.MetadataAsync(cancellationToken);

    /// <summary>Says that no request follows.</summary>
    public void CompleteRequests() => _transport.CompleteRequests();

    /// <summary>Says that no request follows, and waits for the single response of a method that streams requests.</summary>
    /// <exception cref="GrpcException">The call ended otherwise.</exception>
    public async Task<TResponse> FinishAsync(CancellationToken cancellationToken = default)
    {
        CompleteRequests();
        return await Responses.ReadSingleAsync(cancellationToken);
    }

    public ValueTask DisposeAsync() => _transport.DisposeAsync();
}
