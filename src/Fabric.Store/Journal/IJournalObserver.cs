namespace Fabric.Store.Journal;

/// <summary>
/// Who is told how a journal gets on: replication. Called by the journal's own threads, never under its lock; must be quick and
/// must not throw. <see cref="OnOffered"/> is also called by who calls
/// <see cref="Journal.Announce"/> or <see cref="Journal.AdvanceCommitted"/>, and may come late: after a later one, or after the batch is durable.
/// </summary>
public interface IJournalObserver
{
    /// <summary>
    /// There is more for the slaves: <see cref="Journal.CopyRecords"/> gives its bytes from now on, so that they travel while the local disk syncs them, or has not come to them yet.
    /// </summary>
    /// <param name="end">Where it ends.</param>
    /// <param name="here">The caller can spare the time to send it itself; otherwise it is the journal's writer.</param>
    void OnOffered(Position end, bool here);

    /// <summary>Everything before the position is in the files, and about to be synced: it survives a crash of the process.</summary>
    void OnWritten(Position written);

    /// <summary>Everything before the position survives a power loss.</summary>
    void OnDurable(Position durable);

    /// <summary>Everything before the position has been applied to the state machine and flushed.</summary>
    void OnApplied(Position applied);

    /// <summary>The journal, or the state machine, failed: the replica can neither lead nor follow. Called once.</summary>
    void OnFailed(Exception cause);
}

/// <summary>
/// A record of the store itself (kinds 1 to <see cref="KindMax"/>). These are remembered for ever: they stand in checkpoints when
/// their segment has been cleaned away.
/// </summary>
/// <param name="Position">Where it stands.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Body">Its body.</param>
public readonly record struct SystemRecord(Position Position, byte Kind, ReadOnlyMemory<byte> Body)
{
    /// <summary>Highest kind of a system record; the kinds above it are the broker's.</summary>
    public const byte KindMax = 15;
}
