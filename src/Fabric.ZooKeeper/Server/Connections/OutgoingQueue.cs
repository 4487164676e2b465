namespace Fabric.ZooKeeper.Server.Connections;

/// <summary>One frame on its way to a client.</summary>
/// <param name="Bytes">The frame with its length.</param>
/// <param name="RequiredZxid">The transaction that must be durable before the frame may be sent: what it tells must not be lost.</param>
/// <param name="Received">Timestamp of the request it answers; 0 for what answers none.</param>
/// <param name="RequestLength">Bytes of the request it answers.</param>
internal readonly record struct OutgoingFrame(byte[] Bytes, long RequiredZxid, long Received, int RequestLength)
{
    /// <summary>Memory that the frame and its request hold until it is sent.</summary>
    public int Cost => Bytes.Length + RequestLength;
}

/// <summary>
/// What one connection shall be sent, in order. Required transactions only rise from frame to frame, but for frames that
/// require none. Thread-safe; its lock is the innermost of the server.
/// </summary>
internal sealed class OutgoingQueue
{
    private readonly Lock _gate = new();
    private readonly Queue<OutgoingFrame> _frames = [];
    private long _bytes;
    private bool _isComplete;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _frames.Count;
            }
        }
    }

    /// <summary>Bytes that wait, those of the requests included.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
            {
                return _bytes;
            }
        }
    }

    /// <summary>Nothing will be added any more, and everything was taken.</summary>
    public bool IsDrained
    {
        get
        {
            lock (_gate)
            {
                return _isComplete && _frames.Count == 0;
            }
        }
    }

    /// <summary>Ignored once the queue is complete.</summary>
    public void Add(in OutgoingFrame frame)
    {
        lock (_gate)
        {
            if (!_isComplete)
            {
                _frames.Enqueue(frame);
                _bytes += frame.Cost;
            }
        }
    }

    /// <summary>The last frame was added.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
        }
    }

    /// <summary>Drops everything; nothing will be added any more.</summary>
    public void Discard()
    {
        lock (_gate)
        {
            _isComplete = true;
            _frames.Clear();
            _bytes = 0;
        }
    }

    /// <summary>Takes the next frame if it may be sent.</summary>
    public bool TryTake(long durableZxid, out OutgoingFrame frame)
    {
        lock (_gate)
        {
            if (!_frames.TryPeek(out frame) || frame.RequiredZxid > durableZxid)
            {
                return false;
            }

            _frames.Dequeue();
            _bytes -= frame.Cost;
            return true;
        }
    }
}
