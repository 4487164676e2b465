using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc;

/// <summary>Our messages in a call. One task writes. A failed or cancelled write ends the writing for good.</summary>
public sealed class GrpcWriter<T>
{
    private readonly CallPipes _pipes;
    private readonly GrpcMarshaller<T> _marshaller;
    private readonly TokenJoint _tokens;
    private PipeWriter? _pipe;
    private Exception? _failure;

    internal GrpcWriter(CallPipes pipes, GrpcMarshaller<T> marshaller)
    {
        (_pipes, _marshaller) = (pipes, marshaller);
        _tokens = new TokenJoint(pipes.Token);
    }

    /// <summary>
    /// Sends a message. Ends when the transport has copied it and has room for more, so that a slow peer slows its sender; what the message
    /// refers to may then be used for other things.
    /// </summary>
    /// <exception cref="GrpcException">On the client: the call has ended.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled, or, on the server, the call is over.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteAsync(T message, CancellationToken cancellationToken = default)
    {
        if (_failure is not null)
        {
            throw _failure;
        }

        try
        {
            var token = _tokens.With(cancellationToken);
            _pipe ??= await _pipes.OpenOutputAsync(token);
            Frame(_pipe, message);
            var result = await _pipe.FlushAsync(token);
            if (result.IsCompleted || result.IsCanceled)
            {
                throw new IOException("the peer has ended the call");
            }
        }
        catch (Exception exception)
        {
            _failure = _pipes.Explain(exception, cancellationToken);
            _tokens.Release();
            throw _failure;
        }
    }

    private void Frame(PipeWriter pipe, T message)
    {
        var prefix = pipe.GetSpan(GrpcWire.PrefixBytes);
        prefix[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], _marshaller.SizeOf(message));
        pipe.Advance(GrpcWire.PrefixBytes);
        _marshaller.Write(message, pipe);
    }
}
