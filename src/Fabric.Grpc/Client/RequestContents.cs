using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc.Client;

/// <summary>The body of a request with one message. It may be written again, when the server refused the first attempt unseen.</summary>
internal sealed class SingleRequestContent<TRequest>(GrpcMarshaller<TRequest> marshaller, TRequest message) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var size = marshaller.SizeOf(message);
        var body = new ArrayBufferWriter<byte>(GrpcWire.PrefixBytes + size);
        var prefix = body.GetSpan(GrpcWire.PrefixBytes);
        prefix[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], size);
        body.Advance(GrpcWire.PrefixBytes);
        marshaller.Write(message, body);
        await stream.WriteAsync(body.WrittenMemory, cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}

/// <summary>The body of a request that is written bit by bit: it lends its stream to the call until the call gives it back.</summary>
internal sealed class StreamedRequestContent : HttpContent
{
    private const int WriteBufferBytes = 16 * 1024;

    private readonly TaskCompletionSource<PipeWriter> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when the connection is there.</summary>
    public Task<PipeWriter> Opened => _opened.Task;

    /// <summary>No more is written: the stream is half-closed.</summary>
    public void Complete() => _completed.TrySetResult();

    /// <summary>Gives back what the writer holds. Its user has stopped writing.</summary>
    public void Release()
    {
        Complete();
        if (_opened.Task.IsCompletedSuccessfully)
        {
            // With an exception it only returns its memory; everything that was written has been flushed by its user.
            _opened.Task.Result.Complete(new OperationCanceledException());
        }
    }

    /// <summary>The stream never came.</summary>
    public void Fail(Exception exception)
    {
        if (_opened.TrySetException(exception))
        {
            _ = _opened.Task.Exception; // seen: nobody has to write
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // The headers go now, not with the first message: the server may have something to say before.
        await stream.FlushAsync(cancellationToken);
        var writer = PipeWriter.Create(stream, new StreamPipeWriterOptions(minimumBufferSize: WriteBufferBytes, leaveOpen: true));
        if (!_opened.TrySetResult(writer))
        {
            throw new IOException("a stream of requests cannot be sent again");
        }

        // Not the token: HttpClient cancels it when the connection breaks, and would then report our cancellation instead of the break.
        await _completed.Task;
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
