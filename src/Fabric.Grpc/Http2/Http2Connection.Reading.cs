using System.Buffers;
using System.Buffers.Binary;

namespace Fabric.Grpc.Http2;

/// <summary>Reading: one frame after the other, each handled before the next is looked at.</summary>
internal abstract partial class Http2Connection
{
    private readonly HpackDecoder _hpack = new(HeaderTableBytes, HeaderBytesMax);
    private readonly ArrayBufferWriter<byte> _headerBlock = new();
    private Http2FrameHeader? _headers; // a block that has not ended

    /// <summary>What the peer must say before its first frame.</summary>
    protected virtual ReadOnlyMemory<byte> ExpectedPreface => default;

    private static Http2ConnectionException Violation(string what) => new(Http2Error.Protocol, what);

    private static Http2ConnectionException WrongSize(Http2FrameType type) => new(Http2Error.FrameSize, $"a {type} frame of the wrong size");

    private async Task ReadAsync()
    {
        var input = _network.Input;
        var prefaceLeft = ExpectedPreface;
        while (true)
        {
            var result = await input.ReadAsync().ConfigureAwait(false);
            var buffer = result.Buffer;
            Volatile.Write(ref _lastReceived, Time.GetTimestamp());
            prefaceLeft = TakePreface(prefaceLeft, ref buffer);
            if (prefaceLeft.IsEmpty)
            {
                while (TryTakeFrame(ref buffer, out var header, out var payload))
                {
                    Handle(header, payload);
                }
            }

            input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }

    private static ReadOnlyMemory<byte> TakePreface(ReadOnlyMemory<byte> left, ref ReadOnlySequence<byte> buffer)
    {
        var count = (int)Math.Min(left.Length, buffer.Length);
        if (count == 0)
        {
            return left;
        }

        Span<byte> start = stackalloc byte[count];
        buffer.Slice(0, count).CopyTo(start);
        if (!start.SequenceEqual(left.Span[..count]))
        {
            throw Violation("this is no HTTP/2");
        }

        buffer = buffer.Slice(count);
        return left[count..];
    }

    private static bool TryTakeFrame(ref ReadOnlySequence<byte> buffer, out Http2FrameHeader header, out ReadOnlySequence<byte> payload)
    {
        (header, payload) = (default, default);
        if (buffer.Length < Http2FrameHeader.Bytes)
        {
            return false;
        }

        Span<byte> start = stackalloc byte[Http2FrameHeader.Bytes];
        buffer.Slice(0, start.Length).CopyTo(start);
        header = Http2FrameHeader.Read(start);
        if (header.Length > FrameBytesMax)
        {
            throw new Http2ConnectionException(Http2Error.FrameSize, $"a frame of {header.Length} bytes; the limit is {FrameBytesMax}");
        }

        if (buffer.Length - start.Length < header.Length)
        {
            return false;
        }

        payload = buffer.Slice(start.Length, header.Length);
        buffer = buffer.Slice(payload.End);
        return true;
    }

    private void Handle(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        if (!_isReady && header.Type != Http2FrameType.Settings)
        {
            throw Violation("the first frame is not SETTINGS");
        }

        if (_headers is { } open && (header.Type != Http2FrameType.Continuation || header.StreamId != open.StreamId))
        {
            throw Violation("another frame inside of headers");
        }

        switch (header.Type)
        {
            case Http2FrameType.Data:
                OnData(header, payload);
                break;
            case Http2FrameType.Headers:
                OnHeadersFrame(header, payload);
                break;
            case Http2FrameType.Continuation:
                OnContinuation(header, payload);
                break;
            case Http2FrameType.WindowUpdate:
                OnWindowUpdate(header, payload);
                break;
            case Http2FrameType.Settings:
                OnSettings(header, payload.ToArray());
                break;
            case Http2FrameType.Ping:
                OnPing(header, payload);
                break;
            case Http2FrameType.ResetStream:
                OnResetStream(header, payload);
                break;
            case Http2FrameType.GoAway:
                OnGoAwayFrame(header, payload.ToArray());
                break;
            case Http2FrameType.Priority:
                OnPriority(header);
                break;
            case Http2FrameType.PushPromise:
                throw Violation("a push was promised, which is switched off");
            default:
                OnDisturbed(); // an extension that we do not know
                break;
        }
    }

    /// <summary>The payload without its padding (RFC 9113, section 6.1).</summary>
    private static ReadOnlySequence<byte> WithoutPadding(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        if (!header.Has(Http2Flags.Padded))
        {
            return payload;
        }

        if (payload.IsEmpty)
        {
            throw WrongSize(header.Type);
        }

        var padding = payload.FirstSpan[0];
        return padding < payload.Length
            ? payload.Slice(1, payload.Length - 1 - padding)
            : throw Violation("padding longer than its frame");
    }

    private static uint ReadNumber(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        if (header.Length != sizeof(uint))
        {
            throw WrongSize(header.Type);
        }

        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        payload.CopyTo(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    private Http2Stream? Find(int streamId)
    {
        lock (_gate)
        {
            return IsIdle(streamId) ? throw Violation($"stream {streamId} is not open") : _streams.GetValueOrDefault(streamId);
        }
    }

    private void OnData(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        var data = WithoutPadding(header, payload);
        var isLast = header.Has(Http2Flags.EndStream);
        if (data.IsEmpty && !isLast)
        {
            OnDisturbed();
        }

        var stream = Find(header.StreamId);
        var error = Http2Error.None;
        lock (_gate)
        {
            _receiveWindow -= header.Length;
            if (_receiveWindow < 0)
            {
                throw new Http2ConnectionException(Http2Error.FlowControl, "more data than the connection's window allows");
            }

            if (stream is null || stream.State.IsClosed)
            {
                CreditConnection(header.Length); // sent before the peer knew that the stream is closed
                stream = null;
            }
            else
            {
                error = Receive(stream, header.Length, (int)data.Length);
            }
        }

        if (error != Http2Error.None)
        {
            FailStream(stream!, error, "data that the stream does not allow");
        }
        else if (stream is not null)
        {
            stream.OnData(data);
            if (isLast)
            {
                EndRemote(stream);
            }
        }

        Flush();
    }

    /// <summary>Books a frame of data; under the lock.</summary>
    private Http2Error Receive(Http2Stream stream, int frameBytes, int dataBytes)
    {
        var state = stream.State;
        state.ReceiveWindow -= frameBytes;
        var error = state.RemoteEnded ? Http2Error.StreamClosed
            : !stream.Headers.IsCompleted ? Http2Error.Protocol
            : state.ReceiveWindow < 0 ? Http2Error.FlowControl
            : Http2Error.None;
        if (error == Http2Error.None)
        {
            state.Held += dataBytes;
            CreditStream(stream, frameBytes - dataBytes);
        }
        else
        {
            CreditConnection(frameBytes);
        }

        return error;
    }

    private void OnHeadersFrame(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        if (header.StreamId == 0)
        {
            throw Violation("headers without a stream");
        }

        var block = WithoutPadding(header, payload);
        if (header.Has(Http2Flags.Priority))
        {
            block = block.Length >= PriorityBytes ? block.Slice(PriorityBytes) : throw WrongSize(header.Type);
        }

        _headers = header;
        AddToBlock(header, block);
    }

    private void OnContinuation(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        if (_headers is null)
        {
            throw Violation("CONTINUATION without HEADERS");
        }

        if (payload.IsEmpty)
        {
            OnDisturbed();
        }

        AddToBlock(header, payload);
    }

    private void AddToBlock(Http2FrameHeader header, in ReadOnlySequence<byte> piece)
    {
        if (_headerBlock.WrittenCount + piece.Length > HeaderBytesMax)
        {
            throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, $"headers of more than {HeaderBytesMax} bytes");
        }

        foreach (var memory in piece)
        {
            _headerBlock.Write(memory.Span);
        }

        if (!header.Has(Http2Flags.EndHeaders))
        {
            return;
        }

        // Decoded in any case: the table of the two sides must stay the same.
        var fields = _hpack.Decode(_headerBlock.WrittenSpan);
        var isLast = _headers!.Value.Has(Http2Flags.EndStream);
        _headerBlock.ResetWrittenCount();
        _headers = null;
        OnHeaders(header.StreamId, fields, isLast);
    }

    private void OnHeaders(int streamId, List<HeaderField> fields, bool isLast)
    {
        Http2Stream? stream;
        lock (_gate)
        {
            stream = _streams.GetValueOrDefault(streamId);
        }

        if (stream is null)
        {
            OnUnknownHeaders(streamId, fields, isLast);
        }
        else if (stream.State.RemoteEnded)
        {
            FailStream(stream, Http2Error.StreamClosed, "headers after the end of the stream");
        }
        else if (!stream.Headers.IsCompleted)
        {
            OnFirstHeaders(stream, fields, isLast);
        }
        else if (isLast && !fields.Exists(field => field.Name.StartsWith(':')))
        {
            stream.OnTrailers(fields);
            EndRemote(stream);
        }
        else
        {
            FailStream(stream, Http2Error.Protocol, "second headers that are no trailers");
        }
    }

    private void OnResetStream(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        var error = (Http2Error)ReadNumber(header, payload);
        OnDisturbed();
        if (Find(header.StreamId) is { } stream)
        {
            FailStreams(candidate => candidate == stream, new Http2StreamException(error, $"the peer reset the stream: {error}"));
        }
    }
}
