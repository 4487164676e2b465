using System.Globalization;
using Fabric.Runtime.Network;

namespace Fabric.Grpc.Http2;

/// <summary>The side that asks.</summary>
internal sealed class Http2ClientConnection : Http2Connection
{
    /// <summary>Ids are used up long before their numbers are; a new connection begins anew.</summary>
    private const int StreamIdMax = 1 << 30;

    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private List<TaskCompletionSource> _openers = []; // wait for room; under the lock
    private int _nextStreamId = 1;
    private Exception? _goodbye; // the server takes no further streams

    /// <param name="network">Taken over.</param>
    /// <param name="options">Settings of our side.</param>
    public Http2ClientConnection(INetworkConnection network, Http2Options options)
        : base(network, options) => Begin("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, (Http2Setting.EnablePush, 0));

    /// <summary>Whether a stream can still be opened, now or when another has ended.</summary>
    public bool IsUsable
    {
        get
        {
            lock (Gate)
            {
                return Failure is null && _goodbye is null && _nextStreamId < StreamIdMax;
            }
        }
    }

    /// <summary>Ends when the server has said its settings: it is one, and speaks HTTP/2.</summary>
    public Task Ready => _ready.Task;

    protected override bool WantsKeepAlive => StreamCount > 0;

    protected override bool MayAskForPush => false;

    /// <summary>Opens a stream and sends its headers, once the server lets us have one more.</summary>
    /// <exception cref="IOException">The connection is over.</exception>
    public async Task<Http2Stream> OpenAsync(IReadOnlyList<HeaderField> fields, CancellationToken cancellationToken)
    {
        while (true)
        {
            TaskCompletionSource? opener = null;
            Http2Stream? stream = null;
            lock (Gate)
            {
                if ((Failure ?? _goodbye) is { } reason)
                {
                    throw new IOException(reason.Message, reason);
                }

                if (StreamCount < PeerStreamsMax)
                {
                    stream = Add(_nextStreamId);
                    _nextStreamId += 2;
                    AppendHeaders(stream.Id, fields, isLast: false);
                }
                else
                {
                    opener = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    _openers.Add(opener);
                }
            }

            if (stream is not null)
            {
                Flush();
                return stream;
            }

            await opener!.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    protected override bool IsIdle(int streamId) => streamId >= _nextStreamId || streamId % 2 == 0;

    protected override void OnReady() => _ready.TrySetResult();

    protected override void OnRoom()
    {
        List<TaskCompletionSource> openers;
        bool isOver;
        lock (Gate)
        {
            isOver = StreamCount == 0 && _goodbye is not null;
            if (Failure is { } failure && _ready.TrySetException(failure))
            {
                _ = _ready.Task.Exception; // seen: nobody has to wait for it
            }

            if (_openers.Count == 0 && !isOver)
            {
                return;
            }

            (openers, _openers) = (_openers, []);
        }

        foreach (var opener in openers)
        {
            opener.TrySetResult();
        }

        if (isOver)
        {
            Close(_goodbye!);
        }
    }

    protected override void OnGoAway(int lastStreamId, Http2Error error, string text)
    {
        var reason = new Http2StreamException(
            Http2Error.RefusedStream,
            string.Create(CultureInfo.InvariantCulture, $"the server closes the connection ({error}{(text.Length > 0 ? ": " : "")}{text})"));
        lock (Gate)
        {
            _goodbye ??= reason;
        }

        FailStreams(stream => stream.Id > lastStreamId, reason);
    }

    protected override void OnUnknownHeaders(int streamId, IReadOnlyList<HeaderField> fields, bool isLast)
    {
        lock (Gate)
        {
            if (IsIdle(streamId))
            {
                throw new Http2ConnectionException(Http2Error.Protocol, $"stream {streamId} is not open");
            }
        }
    }

    protected override void OnFirstHeaders(Http2Stream stream, IReadOnlyList<HeaderField> fields, bool isLast)
    {
        if (fields is not [(":status", { Length: 3 } status), ..])
        {
            FailStream(stream, Http2Error.Protocol, "a response without a status");
        }
        else if (status[0] != '1')
        {
            stream.OnHeaders(fields);
            if (isLast)
            {
                EndRemote(stream);
            }
        }
        else if (isLast)
        {
            FailStream(stream, Http2Error.Protocol, "a response that is no final one");
        }
    }
}
