using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;

namespace Fabric.Grpc.Http2;

/// <summary>
/// Writing: frames are put into a buffer under the lock; whoever finds nobody sending sends, until the buffer is empty. What others add
/// meanwhile goes with the next system call.
/// </summary>
internal abstract partial class Http2Connection
{
    /// <summary>Bytes that wait for the socket before writers of data wait too.</summary>
    private const int PendingDataMax = 256 * 1024;

    /// <summary>Bytes that wait for the socket before a peer that makes us answer, and does not read, is cut off.</summary>
    private const int PendingMax = 1024 * 1024;

    /// <summary>A buffer that has grown beyond it is let go once it is empty.</summary>
    private const int KeptBufferBytes = 512 * 1024;

    private ArrayBufferWriter<byte> _pending = new();
    private ArrayBufferWriter<byte> _sending = new();
    private bool _isSending;
    private bool _isBroken; // nothing can be sent any more
    private TaskCompletionSource? _sent; // set when nothing is left to send
    private int _waiting; // streams that wait to write
    private long _sendWindow = DefaultWindow;
    private int _peerStreamWindow = DefaultWindow;
    private int _peerFrameMax = 16_384;
    private bool _owesTableSize;
    private long _receiveWindow;
    private long _read; // bytes of the connection's window that were read, and of which the peer has not been told

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    internal async ValueTask WriteAsync(Http2Stream stream, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            bool mustSend;
            lock (_gate)
            {
                ThrowIfOver(stream);
                bytes = bytes[AppendData(stream, bytes.Span)..];
                if (!bytes.IsEmpty && !stream.State.WaitsToWrite)
                {
                    stream.State.WaitsToWrite = true;
                    _waiting++;
                }

                mustSend = TryBeginSend();
            }

            if (mustSend)
            {
                _ = SendAsync();
            }

            if (bytes.IsEmpty)
            {
                return;
            }

            using (cancellationToken.UnsafeRegister(static state => ((Http2Stream)state!).State.Writable.Set(), stream))
            {
                await stream.State.Writable.WaitAsync().ConfigureAwait(false);
            }
        }
    }

    internal void WriteHeaders(Http2Stream stream, IReadOnlyList<HeaderField> fields, bool isLast, bool flush)
    {
        var isClosed = false;
        lock (_gate)
        {
            if (_failure is not null || stream.State.IsClosed || stream.State.LocalEnded)
            {
                return;
            }

            AppendHeaders(stream.Id, fields, isLast);
            if (isLast)
            {
                stream.State.LocalEnded = true;
                isClosed = RemoveIfEnded(stream);
            }
        }

        if (flush)
        {
            Flush();
        }

        if (isClosed)
        {
            OnRoom();
        }
    }

    internal void End(Http2Stream stream)
    {
        bool isClosed;
        lock (_gate)
        {
            if (_failure is not null || stream.State.IsClosed || stream.State.LocalEnded)
            {
                return;
            }

            AppendFrame(Http2FrameType.Data, Http2Flags.EndStream, stream.Id, []);
            stream.State.LocalEnded = true;
            isClosed = RemoveIfEnded(stream);
        }

        Flush();
        if (isClosed)
        {
            OnRoom();
        }
    }

    internal void Reset(Http2Stream stream, Http2Error error)
    {
        lock (_gate)
        {
            if (stream.State.IsClosed)
            {
                return;
            }

            stream.State.Failure ??= new Http2StreamException(error, "the stream is closed");
            Remove(stream);
            if (_failure is null)
            {
                AppendNumber(Http2FrameType.ResetStream, stream.Id, (uint)error);
            }
        }

        stream.State.Writable.Set();
        Flush();
        OnRoom();
    }

    internal void Credit(Http2Stream stream, long bytes)
    {
        lock (_gate)
        {
            if (stream.State.IsClosed || bytes == 0)
            {
                return;
            }

            stream.State.Held -= bytes;
            CreditStream(stream, bytes);
        }

        Flush();
    }

    /// <summary>Sends what has gathered, unless somebody does.</summary>
    protected void Flush()
    {
        bool mustSend;
        lock (_gate)
        {
            mustSend = TryBeginSend();
        }

        if (mustSend)
        {
            _ = SendAsync();
        }
    }

    protected void SendGoAway(Http2Error error, string reason)
    {
        lock (_gate)
        {
            var text = Encoding.ASCII.GetBytes(reason);
            var payload = new byte[8 + text.Length];
            BinaryPrimitives.WriteInt32BigEndian(payload, LastPeerStream);
            BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(4), (uint)error);
            text.CopyTo(payload, 8);
            AppendFrame(Http2FrameType.GoAway, Http2Flags.None, 0, payload);
        }

        Flush();
    }

    /// <summary>Puts headers into the buffer, as many frames as the peer wants; under the lock.</summary>
    protected void AppendHeaders(int streamId, IReadOnlyList<HeaderField> fields, bool isLast)
    {
        var block = new ArrayBufferWriter<byte>();
        if (_owesTableSize)
        {
            // A table that the peer made smaller must be acknowledged in the next block (RFC 7541, 4.2). We use none: 001, then the size 0.
            block.Write((ReadOnlySpan<byte>)[0x20]);
            _owesTableSize = false;
        }

        HpackEncoder.Write(fields, block);
        var rest = block.WrittenSpan;
        var type = Http2FrameType.Headers;
        do
        {
            var piece = rest[..Math.Min(rest.Length, _peerFrameMax)];
            rest = rest[piece.Length..];
            var flags = (rest.IsEmpty ? Http2Flags.EndHeaders : Http2Flags.None)
                | (isLast && type == Http2FrameType.Headers ? Http2Flags.EndStream : Http2Flags.None);
            AppendFrame(type, flags, streamId, piece);
            type = Http2FrameType.Continuation;
        }
        while (!rest.IsEmpty);
    }

    /// <summary>Puts a frame whose payload is one number into the buffer; under the lock.</summary>
    protected void AppendNumber(Http2FrameType type, int streamId, uint number)
    {
        Span<byte> payload = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(payload, number);
        AppendFrame(type, Http2Flags.None, streamId, payload);
    }

    /// <summary>The last stream that the peer has opened; under the lock.</summary>
    protected virtual int LastPeerStream => 0;

    private void AppendSettings(ReadOnlySpan<(Http2Setting Setting, int Value)> settings)
    {
        Span<byte> payload = stackalloc byte[settings.Length * SettingBytes];
        for (var i = 0; i < settings.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload[(i * SettingBytes)..], (ushort)settings[i].Setting);
            BinaryPrimitives.WriteInt32BigEndian(payload[((i * SettingBytes) + sizeof(ushort))..], settings[i].Value);
        }

        AppendFrame(Http2FrameType.Settings, Http2Flags.None, 0, payload);
    }

    private void AppendFrame(Http2FrameType type, Http2Flags flags, int streamId, ReadOnlySpan<byte> payload)
    {
        var span = _pending.GetSpan(Http2FrameHeader.Bytes + payload.Length);
        new Http2FrameHeader(payload.Length, type, flags, streamId).Write(span);
        payload.CopyTo(span[Http2FrameHeader.Bytes..]);
        _pending.Advance(Http2FrameHeader.Bytes + payload.Length);
    }

    /// <summary>Puts as much data into the buffer as windows and buffer have room for; under the lock.</summary>
    /// <returns>Bytes taken.</returns>
    private int AppendData(Http2Stream stream, ReadOnlySpan<byte> bytes)
    {
        var taken = 0;
        while (taken < bytes.Length)
        {
            var room = Math.Min(Math.Min(stream.State.SendWindow, _sendWindow), PendingDataMax - _pending.WrittenCount);
            var count = (int)Math.Min(Math.Min(bytes.Length - taken, _peerFrameMax), room);
            if (count <= 0)
            {
                break;
            }

            AppendFrame(Http2FrameType.Data, Http2Flags.None, stream.Id, bytes.Slice(taken, count));
            stream.State.SendWindow -= count;
            _sendWindow -= count;
            taken += count;
        }

        return taken;
    }

    /// <summary>Gives room back to the peer, in the stream and in the connection; under the lock.</summary>
    private void CreditStream(Http2Stream stream, long bytes)
    {
        var state = stream.State;
        state.Read += bytes;
        CreditConnection(bytes);
        if (!state.RemoteEnded && state.Read >= Options.StreamWindowBytes / 2)
        {
            AppendNumber(Http2FrameType.WindowUpdate, stream.Id, (uint)state.Read);
            state.ReceiveWindow += state.Read;
            state.Read = 0;
        }
    }

    /// <summary>Gives room back to the peer, in all of the connection; under the lock.</summary>
    private void CreditConnection(long bytes)
    {
        _read += bytes;
        if (_read >= Options.ConnectionWindowBytes / 2)
        {
            AppendNumber(Http2FrameType.WindowUpdate, 0, (uint)_read);
            _receiveWindow += _read;
            _read = 0;
        }
    }

    private void ThrowIfOver(Http2Stream stream)
    {
        if ((_failure ?? stream.State.Failure) is { } failure)
        {
            throw new IOException(failure.Message, failure);
        }

        if (stream.State.LocalEnded || stream.State.IsClosed)
        {
            throw new IOException("this side of the stream has ended");
        }
    }

    /// <summary>Whether the caller is to send; under the lock.</summary>
    private bool TryBeginSend()
    {
        if (_isSending || _pending.WrittenCount == 0)
        {
            return false;
        }

        _isSending = true;
        return true;
    }

    private async Task SendAsync()
    {
        try
        {
            while (TakePending())
            {
                await _network.Output.WriteAsync(_sending.WrittenMemory).ConfigureAwait(false);
                WakeWriters();
            }
        }
        catch (Exception exception)
        {
            TaskCompletionSource? sent;
            lock (_gate)
            {
                _isBroken = true; // what is left cannot be sent, and nobody else will try
                sent = _sent;
            }

            Abort(exception);
            sent?.TrySetResult();
        }
    }

    /// <summary>Takes what has gathered, or notes that nobody sends any more.</summary>
    private bool TakePending()
    {
        TaskCompletionSource? sent;
        lock (_gate)
        {
            _sending = _sending.Capacity > KeptBufferBytes ? new ArrayBufferWriter<byte>() : _sending;
            _sending.ResetWrittenCount();
            if (_pending.WrittenCount > 0)
            {
                (_pending, _sending) = (_sending, _pending);
                return true;
            }

            _isSending = false;
            sent = _sent;
        }

        sent?.TrySetResult();
        return false;
    }

    /// <summary>Ends when everything has been sent, or cannot be.</summary>
    private Task FlushedAsync()
    {
        lock (_gate)
        {
            if (!_isSending || _isBroken)
            {
                return Task.CompletedTask;
            }

            _sent ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _sent.Task;
        }
    }

    /// <summary>Writers look again at windows and room.</summary>
    private void WakeWriters()
    {
        if (Volatile.Read(ref _waiting) == 0)
        {
            return;
        }

        List<Http2Stream> waiting = [];
        lock (_gate)
        {
            foreach (var stream in _streams.Values.Where(stream => stream.State.WaitsToWrite))
            {
                stream.State.WaitsToWrite = false;
                waiting.Add(stream);
            }

            _waiting = 0;
        }

        foreach (var stream in waiting)
        {
            stream.State.Writable.Set();
        }
    }
}
