namespace Fabric.Store.Journal;

/// <summary>Settings of one journal. They may differ between replicas and between starts.</summary>
public sealed record JournalOptions
{
    private const long KiB = 1024;
    private const long MiB = 1024 * KiB;
    private const long GiB = 1024 * MiB;

    /// <summary>Where segments and checkpoints lie; absolute. One process at a time uses it.</summary>
    public required string Directory { get; init; }

    /// <summary>
    /// Record bytes that a segment file holds, in bytes; a larger record gets a segment of its own. 64 KiB to 1 GiB; default 32 MiB:
    /// small enough that cleaning frees space soon, large enough that a new file is rare.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public long SegmentBytes { get; init => field = Within(value, 64 * KiB, GiB); } = 32 * MiB;

    /// <summary>
    /// The newest bytes that are kept in memory, so that slaves and consumers that keep up cause no reads, in bytes. 1 MiB to 1 GiB;
    /// default 16 MiB. Bytes that are not on disk yet are kept in any case.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public long TailBytes { get; init => field = Within(value, MiB, GiB); } = 16 * MiB;

    /// <summary>
    /// Bytes appended and not yet committed beyond which <see cref="IJournal.WaitForRoomAsync"/> waits. 64 KiB to 1 GiB; default
    /// 8 MiB, some tens of milliseconds of a fast disk.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public long UncommittedBytesMax { get; init => field = Within(value, 64 * KiB, GiB); } = 8 * MiB;

    /// <summary>
    /// Bytes applied after which a checkpoint is written, in bytes; a state of more than half of it is written less often, so that
    /// checkpoints never cost more than half of the disk's writes. 64 KiB to 64 GiB; default 64 MiB, well under a second of replay.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public long CheckpointBytes { get; init => field = Within(value, 64 * KiB, 64 * GiB); } = 64 * MiB;

    /// <summary>
    /// Bytes that are kept for replicas that are away although nobody else needs them, in bytes; a replica that is away for longer gets a
    /// full copy (<see cref="Copy.JournalCopy"/>). 0 to 1 PiB; default 16 GiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public long RetainedBytesMax { get; init => field = Within(value, 0, 1024 * 1024 * GiB); } = 16 * GiB;

    /// <summary>
    /// Free bytes of the disk below which <see cref="IJournal.WaitForRoomAsync"/> waits, so that producers are held back while consumers go on and free segments; the rest is the reserve that
    /// acknowledgements are written to. Producers go on when there is a quarter more. 0 to 1 TiB, 0 for no such limit; default 128 MiB. Never less than four segments, unless there is no limit:
    /// acknowledgements need one to be written to.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public long FreeBytesLow { get => field == 0 ? 0 : Math.Max(field, 4 * SegmentBytes); init => field = Within(value, 0, 1024 * GiB); } = 128 * MiB;

    /// <summary>Whether there is known to have been a journal here, so that a directory without a segment is a damaged one and not a new one. Default false.</summary>
    public bool MustExist { get; init; }

    /// <summary>Where the journal begins when there is nothing yet: 0, but for a copy of one whose start has been cleaned away.</summary>
    internal Position Begins { get; init; }

    private static long Within(long value, long least, long most)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, least);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most);
        return value;
    }
}
