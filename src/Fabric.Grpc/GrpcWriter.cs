using System.Buffers;
using System.Runtime.CompilerServices;
using Fabric.Grpc.Http2;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc;

/// <summary>Our messages in a call. One task writes. A failed or cancelled write ends the writing for good.</summary>
public sealed class GrpcWriter<T>
{
    private readonly CallTransport _transport;
    private readonly GrpcMarshaller<T> _marshaller;
    private readonly TokenJoint _tokens;
    private readonly ArrayBufferWriter<byte> _frame = new();
    private Http2Stream? _stream;
    private Exception? _failure;

    internal GrpcWriter(CallTransport transport, GrpcMarshaller<T> marshaller)
    {
        (_transport, _marshaller) = (transport, marshaller);
        _tokens = new TokenJoint(transport.Token);
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
            _stream ??= await _transport.OpenOutputAsync(token);
            _frame.ResetWrittenCount();
            MessageFrame.Write(_marshaller, message, _frame);
            await _stream.WriteAsync(_frame.WrittenMemory, token);
        }
        catch (Exception exception)
        {
            _failure = _transport.Explain(exception, cancellationToken);
            _tokens.Release();
            throw _failure;
        }
    }
}
