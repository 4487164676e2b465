namespace Fabric.Broker.Index;

/// <summary>A message that may be copied forward, and where it is read from.</summary>
internal readonly record struct MovableMessage(int QueueId, long Position, long Body, int EnvelopeBytes, int PayloadBytes)
{
    public int Bytes => EnvelopeBytes + PayloadBytes;
}

/// <summary>
/// Where the messages are read from. That is the record that stored them, or the newest copy of it that cleaning made. A copy stands behind what it is a copy of, so a
/// message's body is never older than its position, and nothing from a chunk on is older than the chunk's first position.
/// </summary>
internal sealed partial class EntryList
{
    /// <summary>Bytes of the messages' records.</summary>
    public long Bytes { get; private set; }

    /// <summary>The oldest record that a message is read from; <see cref="long.MaxValue"/> for an empty list.</summary>
    public long OldestBody
    {
        get
        {
            var oldest = long.MaxValue;
            foreach (var chunk in _chunks)
            {
                if (chunk.First >= oldest)
                {
                    break;
                }

                oldest = Math.Min(oldest, chunk.OldestBody);
            }

            return oldest;
        }
    }

    /// <summary>Collects the messages that are read from records before a position, until there are enough of them.</summary>
    public void CollectBefore(long end, int queueId, MovableBatch batch)
    {
        foreach (var chunk in _chunks)
        {
            if (chunk.First >= end)
            {
                return;
            }

            for (var slot = 0; slot < chunk.Count && chunk.OldestBody < end; slot++)
            {
                var body = chunk.BodyOf(slot);
                if (chunk.IsRemoved(slot) || body >= end)
                {
                    continue;
                }

                ref var entry = ref chunk.Entries[slot];
                if (!batch.TryAdd(new MovableMessage(queueId, entry.Position, body, entry.EnvelopeBytes, entry.PayloadBytes)))
                {
                    return;
                }
            }
        }
    }
}

/// <summary>Messages to be copied forward at a time: a limited number of them, and a limited number of bytes or one message.</summary>
internal sealed class MovableBatch(int bytesMax, int messagesMax)
{
    private readonly List<MovableMessage> _messages = [];
    private long _bytes;

    public IReadOnlyList<MovableMessage> Messages => _messages;

    /// <returns>False when there is no room for it.</returns>
    public bool TryAdd(MovableMessage message)
    {
        if (_messages.Count > 0 && (_messages.Count == messagesMax || _bytes + message.Bytes > bytesMax))
        {
            return false;
        }

        _messages.Add(message);
        _bytes += message.Bytes;
        return true;
    }
}
