using System.Buffers;
using Fabric.Runtime.Network;

namespace Fabric.Grpc.Http2;

/// <summary>
/// One HTTP/2 connection (RFC 9113), either side: a loop that reads frames, and writers that leave theirs in a buffer which one of them sends.
/// Thread-safe.
/// </summary>
/// <remarks>
/// Nothing changes threads between a writer and the socket, nor, with <see cref="Http2Options.RunsInline"/>, between the socket and the user of
/// a stream. No user's code runs under the lock. Only the loop completes what readers wait for.
/// </remarks>
internal abstract partial class Http2Connection
{
    /// <summary>Window of streams and connections before anything was said (RFC 9113, section 6.9.2).</summary>
    private const int DefaultWindow = 65_535;

    /// <summary>Largest payload that is taken: as much as a large batch is cut into, little enough to hold whole.</summary>
    private const int FrameBytesMax = 256 * 1024;

    private const int HeaderBytesMax = 64 * 1024;
    private const int HeaderTableBytes = 4096;

    /// <summary>How long what is still to be sent at the end may take.</summary>
    private static readonly TimeSpan LastFlushLimit = TimeSpan.FromSeconds(1);

    private readonly INetworkConnection _network;
    private readonly Lock _gate = new();
    private readonly Dictionary<int, Http2Stream> _streams = []; // those that can still change
    private readonly ITimer _keepAlive;
    private Exception? _failure; // why the connection is over

    protected Http2Connection(INetworkConnection network, Http2Options options)
    {
        (_network, Options) = (network, options);
        _receiveWindow = options.ConnectionWindowBytes;
        _lastReceived = Time.GetTimestamp();
        _keepAlive = Time.CreateTimer(_ => KeepAlive(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The peer's address as <c>host:port</c>.</summary>
    public string Peer => _network.RemoteEndPoint;

    protected Http2Options Options { get; }

    protected Lock Gate => _gate;

    /// <summary>Whether the connection is over; under the lock.</summary>
    protected Exception? Failure => _failure;

    /// <summary>Open streams; under the lock.</summary>
    protected int StreamCount => _streams.Count;

    private TimeProvider Time => Options.Runtime.Time;

    /// <summary>Reads until the connection is over; then everything that waits for it has failed.</summary>
    /// <returns>Why it ended.</returns>
    public async Task<Exception> RunAsync()
    {
        Exception end;
        try
        {
            ScheduleKeepAlive();
            await ReadAsync().ConfigureAwait(false);
            end = new IOException("the peer closed the connection");
        }
        catch (Http2ConnectionException exception)
        {
            SendGoAway(exception.Error, exception.Message);
            end = exception;
        }
        catch (Exception exception)
        {
            end = exception; // whatever a broken socket throws
        }

        end = Finish(end);
        await CloseAsync().ConfigureAwait(false);
        return end;
    }

    /// <summary>Ends the connection at once, from any thread.</summary>
    public void Abort(Exception reason)
    {
        lock (_gate)
        {
            _failure ??= reason;
        }

        _network.Abort(); // the loop sees it, and tells the streams
    }

    /// <summary>Says goodbye and closes, from any thread; streams that are open fail.</summary>
    public void Close(Exception reason)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            _failure = reason;
        }

        SendGoAway(Http2Error.None, string.Empty);
        _ = CloseAsync();
    }

    /// <summary>Sends our settings, and whatever must come before them.</summary>
    protected void Begin(ReadOnlySpan<byte> preface, params ReadOnlySpan<(Http2Setting Setting, int Value)> settings)
    {
        lock (_gate)
        {
            _pending.Write(preface);
            AppendSettings(
            [
                (Http2Setting.InitialWindowSize, Options.StreamWindowBytes),
                (Http2Setting.MaxFrameSize, FrameBytesMax),
                (Http2Setting.MaxHeaderListSize, HeaderBytesMax),
                .. settings,
            ]);
            AppendNumber(Http2FrameType.WindowUpdate, 0, (uint)(Options.ConnectionWindowBytes - DefaultWindow));
        }

        Flush();
    }

    /// <summary>The peer has said its settings; called once, in the loop.</summary>
    protected virtual void OnReady()
    {
    }

    /// <summary>Headers of a stream that is not open. Called in the loop.</summary>
    protected abstract void OnUnknownHeaders(int streamId, IReadOnlyList<HeaderField> fields, bool isLast);

    /// <summary>The first headers of a stream that we have opened. Called in the loop.</summary>
    protected abstract void OnFirstHeaders(Http2Stream stream, IReadOnlyList<HeaderField> fields, bool isLast);

    /// <summary>Whether no frame may name the stream yet; under the lock.</summary>
    protected abstract bool IsIdle(int streamId);

    /// <summary>The peer opens or takes no further streams.</summary>
    protected virtual void OnGoAway(int lastStreamId, Http2Error error, string text)
    {
    }

    /// <summary>A stream has closed, or the connection is over. Called without the lock.</summary>
    protected virtual void OnRoom()
    {
    }

    /// <summary>Makes a stream known; under the lock.</summary>
    protected Http2Stream Add(int id)
    {
        var stream = new Http2Stream(this, id, Options.RunsInline);
        stream.State.SendWindow = _peerStreamWindow;
        stream.State.ReceiveWindow = Options.StreamWindowBytes;
        _streams.Add(id, stream);
        return stream;
    }

    /// <summary>Ends the streams that the predicate chooses as failed; called in the loop.</summary>
    protected void FailStreams(Func<Http2Stream, bool> choose, Exception reason)
    {
        List<Http2Stream> failed;
        lock (_gate)
        {
            failed = [.. _streams.Values.Where(choose)];
            foreach (var stream in failed)
            {
                stream.State.Failure ??= reason;
                Remove(stream);
            }
        }

        foreach (var stream in failed)
        {
            stream.State.Writable.Set();
            stream.OnFailed(reason, stream.State.RemoteEnded);
        }

        Flush(); // what they held is credited to the connection, and others may wait for that
        OnRoom();
    }

    /// <summary>Ends a stream in which the peer broke the protocol; called in the loop.</summary>
    protected void FailStream(Http2Stream stream, Http2Error error, string reason)
    {
        lock (_gate)
        {
            if (stream.State.IsClosed)
            {
                return;
            }

            ThrowIfAnswersAreNotRead();
            AppendNumber(Http2FrameType.ResetStream, stream.Id, (uint)error);
        }

        FailStreams(candidate => candidate == stream, new Http2StreamException(error, reason));
        Flush();
    }

    /// <summary>Takes note that the peer's side of a stream has ended; called in the loop.</summary>
    protected void EndRemote(Http2Stream stream)
    {
        bool isClosed;
        lock (_gate)
        {
            stream.State.RemoteEnded = true;
            isClosed = RemoveIfEnded(stream);
        }

        stream.OnEnd();
        if (isClosed)
        {
            Flush(); // as above
            OnRoom();
        }
    }

    /// <summary>Forgets a stream; what was not read of it no longer takes room. Under the lock.</summary>
    private void Remove(Http2Stream stream)
    {
        if (_streams.Remove(stream.Id))
        {
            stream.State.IsClosed = true;
            CreditConnection(stream.State.Held);
            stream.State.Held = 0;
        }
    }

    private bool RemoveIfEnded(Http2Stream stream)
    {
        if (stream.State is not { LocalEnded: true, RemoteEnded: true })
        {
            return false;
        }

        Remove(stream);
        return true;
    }

    private Exception Finish(Exception end)
    {
        lock (_gate)
        {
            end = _failure ??= end;
        }

        FailStreams(_ => true, end);
        return end;
    }

    private async Task CloseAsync()
    {
        await _keepAlive.DisposeAsync().ConfigureAwait(false);
        using var limit = new CancellationTokenSource(LastFlushLimit, Time);
        try
        {
            await FlushedAsync().WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _network.Abort();
        }

        await _network.DisposeAsync().ConfigureAwait(false);
    }
}
