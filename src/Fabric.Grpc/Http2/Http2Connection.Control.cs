using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Fabric.Grpc.Http2;

/// <summary>What the two sides tell each other besides streams: settings, windows, pings, goodbyes; and when a silent peer is given up.</summary>
internal abstract partial class Http2Connection
{
    private const int SettingBytes = 6;
    private const int PriorityBytes = 5;
    private const long WindowMax = int.MaxValue;

    /// <summary>
    /// Frames a second that cost us work and bring nothing: pings, resets, settings and the like. No peer of good will comes near.
    /// </summary>
    private const int DisturbancesMax = 2_000;

    private bool _isReady; // the peer's settings have come
    private long _lastReceived;
    private long _pingSent; // 0: no ping is on its way
    private long _disturbedSince;
    private int _disturbances;

    /// <summary>Whether the peer may switch pushes on, which is nothing to us.</summary>
    protected abstract bool MayAskForPush { get; }

    /// <summary>Streams that the peer lets us have at a time; under the lock.</summary>
    protected int PeerStreamsMax { get; private set; } = int.MaxValue;

    /// <summary>Takes note of a frame that brings nothing.</summary>
    /// <exception cref="Http2ConnectionException">There are too many of them.</exception>
    protected void OnDisturbed()
    {
        var now = Time.GetTimestamp();
        if (Time.GetElapsedTime(_disturbedSince, now) > TimeSpan.FromSeconds(1))
        {
            (_disturbedSince, _disturbances) = (now, 0);
        }

        if (++_disturbances > DisturbancesMax)
        {
            throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, $"more than {DisturbancesMax} frames a second that bring nothing");
        }
    }

    private void OnWindowUpdate(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        var increment = ReadNumber(header, payload) & Http2FrameHeader.StreamIdMask;
        if (header.StreamId == 0)
        {
            OnConnectionWindow(increment);
            return;
        }

        if (Find(header.StreamId) is not { } stream)
        {
            OnDisturbed();
            return;
        }

        long window;
        lock (_gate)
        {
            window = stream.State.SendWindow += increment;
        }

        if (increment == 0)
        {
            FailStream(stream, Http2Error.Protocol, "a window that grows by nothing");
        }
        else if (window > WindowMax)
        {
            FailStream(stream, Http2Error.FlowControl, "the stream's window is too large");
        }
        else
        {
            WakeWriters();
        }
    }

    private void OnConnectionWindow(long increment)
    {
        lock (_gate)
        {
            _sendWindow += increment;
            if (increment == 0)
            {
                throw Violation("a window that grows by nothing");
            }

            if (_sendWindow > WindowMax)
            {
                throw new Http2ConnectionException(Http2Error.FlowControl, "the connection's window is too large");
            }
        }

        WakeWriters();
    }

    private void OnSettings(Http2FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != 0)
        {
            throw Violation("SETTINGS on a stream");
        }

        if (header.Has(Http2FrameHeader.Acknowledgement))
        {
            if (!payload.IsEmpty)
            {
                throw WrongSize(header.Type);
            }

            OnDisturbed();
            return;
        }

        if (payload.Length % SettingBytes != 0)
        {
            throw WrongSize(header.Type);
        }

        OnDisturbed();
        lock (_gate)
        {
            for (; !payload.IsEmpty; payload = payload[SettingBytes..])
            {
                Apply((Http2Setting)BinaryPrimitives.ReadUInt16BigEndian(payload), BinaryPrimitives.ReadUInt32BigEndian(payload[sizeof(ushort)..]));
            }

            AppendAnswer(Http2FrameType.Settings, []);
        }

        if (!_isReady)
        {
            _isReady = true;
            OnReady();
        }

        Flush();
        WakeWriters();
        OnRoom();
    }

    /// <summary>Under the lock. What is not here does not concern us: our headers are small.</summary>
    private void Apply(Http2Setting setting, uint value)
    {
        switch (setting)
        {
            case Http2Setting.HeaderTableSize when value < HeaderTableBytes:
                _owesTableSize = true;
                break;
            case Http2Setting.EnablePush when value > (MayAskForPush ? 1 : 0):
                throw Violation("pushes are neither on nor off, or are on where they cannot be");
            case Http2Setting.MaxConcurrentStreams:
                PeerStreamsMax = (int)Math.Min(value, int.MaxValue);
                break;
            case Http2Setting.InitialWindowSize:
                ResizeStreamWindows(value);
                break;
            case Http2Setting.MaxFrameSize:
                const uint Least = 1 << 14;
                const uint Most = (1 << 24) - 1;
                _peerFrameMax = value is >= Least and <= Most ? (int)value : throw Violation("a frame size that is not allowed");
                break;
            default:
                break;
        }
    }

    private void ResizeStreamWindows(uint value)
    {
        if (value > WindowMax)
        {
            throw new Http2ConnectionException(Http2Error.FlowControl, "a window that is too large");
        }

        var change = (int)value - _peerStreamWindow;
        _peerStreamWindow = (int)value;
        foreach (var stream in _streams.Values)
        {
            stream.State.SendWindow += change;
            if (stream.State.SendWindow > WindowMax)
            {
                throw new Http2ConnectionException(Http2Error.FlowControl, "a stream's window is too large");
            }
        }
    }

    private void OnPing(Http2FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        const int PingBytes = 8;
        if (header.StreamId != 0)
        {
            throw Violation("PING on a stream");
        }

        if (header.Length != PingBytes)
        {
            throw WrongSize(header.Type);
        }

        OnDisturbed();
        if (header.Has(Http2FrameHeader.Acknowledgement))
        {
            return; // that something came is what counts
        }

        Span<byte> bytes = stackalloc byte[PingBytes];
        payload.CopyTo(bytes);
        lock (_gate)
        {
            AppendAnswer(Http2FrameType.Ping, bytes);
        }

        Flush();
    }

    private void OnPriority(Http2FrameHeader header)
    {
        OnDisturbed();
        if (header.StreamId == 0)
        {
            throw Violation("a priority without a stream");
        }

        if (header.Length != PriorityBytes)
        {
            throw WrongSize(header.Type);
        }
    }

    private void OnGoAwayFrame(Http2FrameHeader header, ReadOnlySpan<byte> payload)
    {
        const int GoAwayBytes = 8;
        if (header.StreamId != 0)
        {
            throw Violation("GOAWAY on a stream");
        }

        if (payload.Length < GoAwayBytes)
        {
            throw WrongSize(header.Type);
        }

        OnGoAway(
            (int)(BinaryPrimitives.ReadUInt32BigEndian(payload) & Http2FrameHeader.StreamIdMask),
            (Http2Error)BinaryPrimitives.ReadUInt32BigEndian(payload[4..]),
            Encoding.ASCII.GetString(payload[GoAwayBytes..]));
    }

    /// <summary>Puts an answer that the peer makes us give into the buffer; under the lock.</summary>
    private void AppendAnswer(Http2FrameType type, ReadOnlySpan<byte> payload)
    {
        ThrowIfAnswersAreNotRead();
        AppendFrame(type, Http2FrameHeader.Acknowledgement, 0, payload);
    }

    /// <summary>Ends a connection that goes on asking while what it has asked for piles up here; under the lock, in the loop.</summary>
    protected void ThrowIfAnswersAreNotRead()
    {
        if (_pending.WrittenCount > PendingMax)
        {
            throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, "answers are asked for and not read");
        }
    }

    /// <summary>Pings a connection that is silent, and ends one that does not answer.</summary>
    private void KeepAlive()
    {
        var now = Time.GetTimestamp();
        var silent = Time.GetElapsedTime(Volatile.Read(ref _lastReceived), now);
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            if (_pingSent == 0 || Volatile.Read(ref _lastReceived) >= _pingSent)
            {
                _pingSent = 0;
                if (silent >= Options.KeepAlivePingDelay && WantsKeepAlive)
                {
                    AppendFrame(Http2FrameType.Ping, Http2Flags.None, 0, stackalloc byte[8]);
                    _pingSent = now;
                }
            }
        }

        if (_pingSent != 0 && Time.GetElapsedTime(_pingSent, now) >= Options.KeepAlivePingTimeout)
        {
            Abort(new IOException($"the peer has not answered a ping for {Options.KeepAlivePingTimeout.TotalSeconds:0.#} s"));
            return;
        }

        Flush();
        ScheduleKeepAlive();
    }

    /// <summary>Whether a silent connection is worth a ping; under the lock.</summary>
    protected abstract bool WantsKeepAlive { get; }

    private void ScheduleKeepAlive()
    {
        if (Options.KeepAlivePingDelay == Timeout.InfiniteTimeSpan)
        {
            return;
        }

        var left = _pingSent != 0
            ? Options.KeepAlivePingTimeout - Time.GetElapsedTime(_pingSent)
            : Options.KeepAlivePingDelay - Time.GetElapsedTime(Volatile.Read(ref _lastReceived));
        var least = TimeSpan.FromMilliseconds(50);
        try
        {
            _keepAlive.Change(left > least ? left : WantsKeepAlive ? least : Options.KeepAlivePingDelay, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The connection has just been closed.
        }
    }
}
