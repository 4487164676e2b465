using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>Something watchers may want to know. <paramref name="Acl"/> is that of the znode concerned: who may not read it hears nothing.</summary>
internal readonly record struct ZnodeEvent(WatchEventType Type, string Path, Acl[] Acl);

/// <summary>
/// One attempt to write: its number, its time and, when it succeeds, its changes in order. An attempt that fails keeps its
/// number with no changes, because the client has seen the number (reference §3.2).
/// </summary>
/// <param name="zxid">The next transaction number.</param>
/// <param name="time">Wall clock in milliseconds since 1970 UTC.</param>
/// <param name="sessionId">Who wrote; 0 for the server itself.</param>
internal sealed class Transaction(long zxid, long time, long sessionId)
{
    private readonly List<Action> _undo = [];

    public long Zxid { get; } = zxid;

    public long Time { get; } = time;

    public long SessionId { get; } = sessionId;

    public List<TreeChange> Changes { get; } = [];

    /// <summary>Events to fire once the whole transaction is known to succeed.</summary>
    public List<ZnodeEvent> Events { get; } = [];

    /// <summary>Remembers how to take the latest step back.</summary>
    public void OnUndo(Action step) => _undo.Add(step);

    /// <summary>Takes every change back, the latest first; the transaction is then a failed attempt.</summary>
    public void Undo()
    {
        for (var i = _undo.Count - 1; i >= 0; i--)
        {
            _undo[i]();
        }

        _undo.Clear();
        Changes.Clear();
        Events.Clear();
    }

    public static Transaction Read(ref JuteReader reader)
    {
        const int ChangeLengthMin = 2;
        var transaction = new Transaction(reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64());
        var count = reader.ReadCount(ChangeLengthMin);
        for (var i = 0; i < count; i++)
        {
            transaction.Changes.Add(TreeChange.Read(ref reader));
        }

        return transaction;
    }

    public void Write(JuteWriter writer)
    {
        writer.WriteInt64(Zxid);
        writer.WriteInt64(Time);
        writer.WriteInt64(SessionId);
        writer.WriteInt32(Changes.Count);
        foreach (var change in Changes)
        {
            change.Write(writer);
        }
    }
}
