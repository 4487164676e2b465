using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc;

/// <summary>
/// The messages that the peer sends in a call. One task reads. A failed or cancelled read ends the reading for good: later reads
/// throw the same.
/// </summary>
/// <remarks>
/// A message on the wire (<c>PROTOCOL-HTTP2.md</c>, "Length-Prefixed-Message"):
/// <code>
/// +-----------------+------------------------+---------+
/// | compressed: 0,1 | length, 4, big endian  | message |
/// +-----------------+------------------------+---------+
/// </code>
/// The bytes of a message are given back to the transport, and the peer's window with them, when the next one is asked for.
/// </remarks>
public sealed class GrpcReader<T>
{
    private readonly CallPipes _pipes;
    private readonly GrpcMarshaller<T> _marshaller;
    private readonly int _messageBytesMax;
    private readonly TokenJoint _tokens;
    private PipeReader? _pipe;
    private SequencePosition _consumed;
    private bool _holding;
    private bool _ended;
    private Exception? _failure;
    private T? _current;

    internal GrpcReader(CallPipes pipes, GrpcMarshaller<T> marshaller, int messageBytesMax)
    {
        (_pipes, _marshaller, _messageBytesMax) = (pipes, marshaller, messageBytesMax);
        _tokens = new TokenJoint(pipes.Token);
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
            _pipe ??= await _pipes.OpenInputAsync(token);
            Release();
            while (true)
            {
                var result = await _pipe.ReadAsync(token);
                if (TryTake(result.Buffer))
                {
                    return true;
                }

                if (result.IsCompleted)
                {
                    End(whole: result.Buffer.IsEmpty);
                    return false;
                }

                _pipe.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            }
        }
        catch (Exception exception)
        {
            _failure = _pipes.Explain(exception, cancellationToken);
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

    private void Release()
    {
        if (_holding)
        {
            _holding = false;
            _pipe!.AdvanceTo(_consumed);
        }
    }

    private bool TryTake(in ReadOnlySequence<byte> buffer)
    {
        Span<byte> prefix = stackalloc byte[GrpcWire.PrefixBytes];
        if (buffer.Length < prefix.Length)
        {
            return false;
        }

        buffer.Slice(0, prefix.Length).CopyTo(prefix);
        var length = Check(prefix);
        if (buffer.Length - prefix.Length < length)
        {
            return false;
        }

        var message = buffer.Slice(prefix.Length, length);
        _consumed = message.End;
        _holding = true;
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

    private int Check(ReadOnlySpan<byte> prefix)
    {
        var length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (prefix[0] != 0)
        {
            throw new GrpcException(
                GrpcStatusCode.Internal, prefix[0] == 1 ? "a message is compressed, which was not agreed on" : "malformed message prefix");
        }

        return length <= _messageBytesMax
            ? (int)length
            : throw new GrpcException(
                GrpcStatusCode.ResourceExhausted, $"a message of {length} bytes is larger than the limit of {_messageBytesMax}");
    }

    private void End(bool whole)
    {
        // The status comes first: a stream that was cut has one that says why.
        _pipes.OnInputEnded();
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
