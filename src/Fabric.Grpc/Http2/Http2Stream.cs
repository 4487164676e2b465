using System.Buffers;
using System.IO.Pipelines;
using Fabric.Runtime.Scheduling;

namespace Fabric.Grpc.Http2;

/// <summary>One stream, as its user sees it: one task reads, one writes.</summary>
internal sealed class Http2Stream
{
    private const int SegmentBytes = 32 * 1024;

    private static readonly PipeOptions InputInline = InputOptions(PipeScheduler.Inline);
    private static readonly PipeOptions InputOnPool = InputOptions(PipeScheduler.ThreadPool);

    private static readonly Action Nothing = () => { };

    private readonly Http2Connection _connection;
    private readonly Pipe _input;
    private readonly TaskCompletionSource<IReadOnlyList<HeaderField>> _headers;

    private Action? _aborted;

    /// <param name="connection">Whose stream it is.</param>
    /// <param name="id">Its number.</param>
    /// <param name="runsInline">Who waits here goes on inside the connection's loop.</param>
    public Http2Stream(Http2Connection connection, int id, bool runsInline)
    {
        (_connection, Id) = (connection, id);
        _input = new Pipe(runsInline ? InputInline : InputOnPool);
        _headers = new(runsInline ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously);
        State = new StreamState(runsInline);
    }

    public int Id { get; }

    /// <summary>The peer's bytes. What was read is given back to the peer's window by <see cref="Credit"/>.</summary>
    public PipeReader Input => _input.Reader;

    /// <summary>The peer's first headers.</summary>
    public Task<IReadOnlyList<HeaderField>> Headers => _headers.Task;

    /// <summary>The peer's last headers; there when <see cref="Input"/> has ended, if there are any.</summary>
    public IReadOnlyList<HeaderField> Trailers { get; private set; } = [];

    /// <summary>What the connection knows of the stream; under its lock.</summary>
    internal StreamState State { get; }

    /// <summary>Ends when the connection has copied the bytes and has room.</summary>
    /// <exception cref="IOException">The stream or the connection is over.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        _connection.WriteAsync(this, bytes, cancellationToken);

    /// <summary>Sends headers; the last ones end our side. Does nothing when the stream is over.</summary>
    /// <param name="fields">In lower case.</param>
    /// <param name="isLast">Ends our side.</param>
    /// <param name="flush">False to let them go with what follows.</param>
    public void WriteHeaders(IReadOnlyList<HeaderField> fields, bool isLast, bool flush = true) =>
        _connection.WriteHeaders(this, fields, isLast, flush);

    /// <summary>We send no more. Does nothing when the stream is over.</summary>
    public void End() => _connection.End(this);

    /// <summary>Ends the stream both ways, unless it has ended; a reader of ours is not told.</summary>
    public void Reset(Http2Error error) => _connection.Reset(this, error);

    /// <summary>Names what is called, once, when the peer or the connection ends the stream before its end; at once when it has.</summary>
    public void OnAborted(Action callback)
    {
        if (Interlocked.CompareExchange(ref _aborted, callback, null) is not null)
        {
            callback();
        }
    }

    /// <summary>Lets the peer send so many bytes more.</summary>
    public void Credit(long bytes) => _connection.Credit(this, bytes);

    internal void OnHeaders(IReadOnlyList<HeaderField> fields) => _headers.TrySetResult(fields);

    internal void OnTrailers(IReadOnlyList<HeaderField> fields) => Trailers = fields;

    internal void OnData(in ReadOnlySequence<byte> bytes)
    {
        foreach (var piece in bytes)
        {
            _input.Writer.Write(piece.Span);
        }

        var flushed = _input.Writer.FlushAsync(CancellationToken.None);
        if (!flushed.IsCompleted)
        {
            throw new InvalidOperationException("a pipe without a threshold made its writer wait");
        }
    }

    internal void OnEnd() => _input.Writer.Complete();

    internal void OnFailed(Exception failure, bool hasEnded)
    {
        Interlocked.Exchange(ref _aborted, Nothing)?.Invoke();
        if (_headers.TrySetException(failure))
        {
            _ = _headers.Task.Exception; // seen: nobody has to wait for it
        }

        if (!hasEnded)
        {
            _input.Writer.Complete(failure);
        }
    }

    /// <summary>Without a threshold: the peer's window bounds what is in there.</summary>
    private static PipeOptions InputOptions(PipeScheduler scheduler) => new(
        readerScheduler: scheduler,
        pauseWriterThreshold: 0,
        resumeWriterThreshold: 0,
        minimumSegmentSize: SegmentBytes,
        useSynchronizationContext: false);

    /// <summary>Windows and ends.</summary>
    internal sealed class StreamState(bool runsInline)
    {
        /// <summary>Bytes that the peer has room for. Below zero when it has made its window smaller.</summary>
        public long SendWindow { get; set; }

        /// <summary>Bytes that the peer may still send.</summary>
        public long ReceiveWindow { get; set; }

        /// <summary>Bytes that have come and have not been given back yet.</summary>
        public long Held { get; set; }

        /// <summary>Bytes that were read, and of which the peer has not been told.</summary>
        public long Read { get; set; }

        /// <summary>We send no more.</summary>
        public bool LocalEnded { get; set; }

        /// <summary>The peer sends no more.</summary>
        public bool RemoteEnded { get; set; }

        /// <summary>The connection knows it no more.</summary>
        public bool IsClosed { get; set; }

        /// <summary>Why it ended before its end.</summary>
        public Exception? Failure { get; set; }

        public bool WaitsToWrite { get; set; }

        /// <summary>There may be room to write, or the stream is over.</summary>
        public AsyncSignal Writable { get; } = new(runsInline);
    }
}
