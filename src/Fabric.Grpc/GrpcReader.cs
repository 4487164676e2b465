using System.Buffers;
using System.Runtime.CompilerServices;
using Fabric.Grpc.Http2;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc;

/// <summary>
/// The messages that the peer sends in a call. One task reads. A failed or cancelled read ends the reading for good: later reads
/// throw the same.
/// </summary>
/// <remarks>
/// The bytes of a message are given back to the transport, and the peer's window with them, when the next one is asked for.
/// </remarks>
public sealed class GrpcReader<T>
{
    private readonly CallTransport _transport;
    private readonly GrpcMarshaller<T> _marshaller;
    private readonly int _messageBytesMax;
    private readonly TokenJoint _tokens;
    private Http2Stream? _stream;
    private SequencePosition _consumed;
    private long _held; // bytes of the current message, with its prefix
    private long _credited; // bytes of the message that comes which the peer has room for again
    private bool _ended;
    private Exception? _failure;
    private T? _current;

    internal GrpcReader(CallTransport transport, GrpcMarshaller<T> marshaller, int messageBytesMax)
    {
        (_transport, _marshaller, _messageBytesMax) = (transport, marshaller, messageBytesMax);
        _tokens = new TokenJoint(transport.Token);
    }

    /// <summary>The message that the last <see cref="MoveNextAsync"/> brought.</summary>
    public T Current => _current ?? throw new InvalidOperationException("no message has been read");

    /// <summary>Waits for the next message.</summary>
    /// <returns>False when the peer has sent its last message and, on the client, the call ended well.</returns>
    /// <exception cref="GrpcException">On the client: the call ended otherwise. On both: the message is too large, compressed or malformed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled, or, on the server, the call is over.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> MoveNextAsync(CancellationToken cancellationToken = default)
    {
        if (_ended)
        {
            return _failure is null ? false : throw _failure;
        }

        try
        {
            var token = _tokens.With(cancellationToken);
            _stream ??= await _transport.OpenInputAsync(token);
            Release();
            while (true)
            {
                var result = await _stream.Input.ReadAsync(token);
                if (TryTake(result.Buffer))
                {
                    return true;
                }

                if (result.IsCompleted)
                {
                    End(whole: result.Buffer.IsEmpty);
                    return false;
                }

                MakeRoom(result.Buffer);
            }
        }
        catch (Exception exception)
        {
            _failure = _transport.Explain(exception, cancellationToken);
            Stop();
            throw _failure;
        }
    }

    /// <summary>All messages to the end.</summary>
    /// <inheritdoc cref="MoveNextAsync" path="/exception"/>
    public async IAsyncEnumerable<T> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (await MoveNextAsync(cancellationToken))
        {
            yield return Current;
        }
    }

    /// <summary>Reads the one message of a call that has exactly one in this direction.</summary>
    internal async ValueTask<T> ReadSingleAsync(CancellationToken cancellationToken)
    {
        if (!await MoveNextAsync(cancellationToken))
        {
            throw new GrpcException(GrpcStatusCode.Internal, "the stream ended without its message");
        }

        var single = Current;
        return await MoveNextAsync(cancellationToken)
            ? throw new GrpcException(GrpcStatusCode.Internal, "a second message came where one was due")
            : single;
    }

    /// <summary>A message may be larger than the window: the peer gets room for the rest of it.</summary>
    private void MakeRoom(in ReadOnlySequence<byte> part)
    {
        var bytes = part.Length - _credited;
        _credited = part.Length;
        _stream!.Input.AdvanceTo(part.Start, part.End);
        _stream.Credit(bytes);
    }

    private void Release()
    {
        if (_held > 0)
        {
            var bytes = _held - _credited;
            (_held, _credited) = (0, 0);
            _stream!.Input.AdvanceTo(_consumed);
            _stream.Credit(bytes);
        }
    }

    private bool TryTake(in ReadOnlySequence<byte> buffer)
    {
        Span<byte> prefix = stackalloc byte[MessageFrame.PrefixBytes];
        if (buffer.Length < prefix.Length)
        {
            return false;
        }

        buffer.Slice(0, prefix.Length).CopyTo(prefix);
        var length = MessageFrame.ReadLength(prefix, _messageBytesMax);
        if (buffer.Length - prefix.Length < length)
        {
            return false;
        }

        var message = buffer.Slice(prefix.Length, length);
        _consumed = message.End;
        _held = prefix.Length + length;
        try
        {
            _current = _marshaller.Read(message);
            return true;
        }
        catch (FormatException exception)
        {
            throw new GrpcException(GrpcStatusCode.Internal, exception.Message, exception);
        }
    }

    private void End(bool whole)
    {
        // The status comes first: a stream that was cut has one that says why.
        _transport.OnInputEnded();
        if (!whole)
        {
            throw new GrpcException(GrpcStatusCode.Internal, "the stream ended inside a message");
        }

        Stop();
    }

    private void Stop()
    {
        _ended = true;
        _current = default;
        _tokens.Release();
    }
}
