namespace Fabric.Client.Consumers;

/// <summary>The identities of the last so many messages that were accepted, in a ring: adding costs one store.</summary>
internal sealed class RecentlyAccepted(int capacity)
{
    private readonly MessageKey[] _ring = new MessageKey[capacity];
    private long _count;

    public void Add(MessageKey key)
    {
        if (_ring.Length > 0)
        {
            _ring[_count++ % _ring.Length] = key;
        }
    }

    /// <summary>All of them, with no message: a redelivery of any is acknowledged unseen.</summary>
    public Dictionary<MessageKey, Incoming?> ToDictionary()
    {
        var known = (int)Math.Min(_count, _ring.Length);
        var keys = new Dictionary<MessageKey, Incoming?>(known);
        foreach (var key in _ring.AsSpan(0, known))
        {
            keys[key] = null;
        }

        return keys;
    }
}
