using System.Text;
using Fabric.Runtime.Network;

namespace Fabric.Grpc.Http2;

/// <summary>The side that answers. Each request runs apart from the loop; what it then waits for goes on in it.</summary>
internal sealed class Http2ServerConnection : Http2Connection
{
    private static readonly ReadOnlyMemory<byte> Preface = Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    /// <summary>
    /// A peer counts the streams that are open, as RFC 9113 (section 5.1.2) has it, and may open one as soon as another is over for it.
    /// What served the other may need a moment to end; twice the streams is where a peer that opens and resets without end is refused.
    /// </summary>
    private const int RunningPerStream = 2;

    private readonly int _streamsMax;
    private readonly Func<Http2Stream, Task> _serve;
    private int _lastPeerStream;
    private int _serving; // requests that run, also those whose stream is gone: answered just now, or given up by the peer
    private bool _isStopping;

    /// <param name="network">Taken over.</param>
    /// <param name="options">Settings of our side.</param>
    /// <param name="streamsMax">Requests at a time.</param>
    /// <param name="serve">Answers a request whose headers have come and are sound.</param>
    public Http2ServerConnection(
        INetworkConnection network, Http2Options options, int streamsMax, Func<Http2Stream, Task> serve)
        : base(network, options)
    {
        (_streamsMax, _serve) = (streamsMax, serve);
        Begin([], (Http2Setting.MaxConcurrentStreams, streamsMax));
    }

    protected override ReadOnlyMemory<byte> ExpectedPreface => Preface;

    protected override int LastPeerStream => _lastPeerStream;

    protected override bool WantsKeepAlive => true;

    protected override bool MayAskForPush => true;

    /// <summary>Takes no further requests; the peer closes when it has its answers.</summary>
    public void Stop()
    {
        lock (Gate)
        {
            if (_isStopping || Failure is not null)
            {
                return;
            }

            _isStopping = true;
        }

        SendGoAway(Http2Error.None, "the server is stopping");
    }

    protected override bool IsIdle(int streamId) => streamId > _lastPeerStream || streamId % 2 == 0;

    protected override void OnUnknownHeaders(int streamId, IReadOnlyList<HeaderField> fields, bool isLast)
    {
        Http2Stream? stream = null;
        lock (Gate)
        {
            if (!IsIdle(streamId) && !fields.Any(field => field.Name == ":method"))
            {
                return; // trailers of a request that has its answer
            }

            if (!IsIdle(streamId) || streamId % 2 == 0)
            {
                throw new Http2ConnectionException(Http2Error.Protocol, $"stream {streamId} cannot be opened");
            }

            ThrowIfAnswersAreNotRead();
            _lastPeerStream = streamId;
            if (RequestHeaders.Fault(fields) is not null)
            {
                AppendNumber(Http2FrameType.ResetStream, streamId, (uint)Http2Error.Protocol);
            }
            else if (_isStopping || StreamCount >= _streamsMax || _serving >= RunningPerStream * _streamsMax)
            {
                AppendNumber(Http2FrameType.ResetStream, streamId, (uint)Http2Error.RefusedStream);
            }
            else
            {
                _serving++;
                stream = Add(streamId);
                stream.OnHeaders(fields);
            }
        }

        if (stream is null)
        {
            Flush();
            OnDisturbed();
            return;
        }

        if (isLast)
        {
            EndRemote(stream);
        }

        _ = Options.Runtime.Scheduler.Start($"request {streamId} of {Peer}", () => ServeAsync(stream));
    }

    protected override void OnFirstHeaders(Http2Stream stream, IReadOnlyList<HeaderField> fields, bool isLast) =>
        throw new InvalidOperationException("streams of a client begin with their headers");

    private async Task ServeAsync(Http2Stream stream)
    {
        try
        {
            await _serve(stream).ConfigureAwait(false);
        }
        finally
        {
            lock (Gate)
            {
                _serving--;
            }

            // The peer need not send the rest of a request that has its answer (RFC 9113, section 8.1).
            stream.Reset(Http2Error.None);
        }
    }
}
