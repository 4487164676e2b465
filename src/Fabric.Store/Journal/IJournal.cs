namespace Fabric.Store.Journal;

/// <summary>
/// What a broker sees of its journal: append records while master, learn what is committed by
/// <see cref="IStateMachine.Apply"/>, read bodies back. Thread-safe.
/// </summary>
public interface IJournal
{
    /// <summary>The end of what was appended: where the next record will stand.</summary>
    Position End { get; }

    /// <summary>Everything before it is committed and has been applied.</summary>
    Position Applied { get; }

    /// <summary>What could be let go, and how much that is needed. A moment old.</summary>
    JournalSpace Space { get; }

    /// <summary>Appends one record to the open batch. Copies the body; does not wait for the disk.</summary>
    /// <param name="kind">The record's kind; 1 to 15 belong to the store, 16 to 255 to the broker.</param>
    /// <param name="flags">Meaning given by the kind.</param>
    /// <param name="head">First part of the body.</param>
    /// <param name="tail">Second part of the body; both parts together at most <see cref="JournalLimits.RecordBytesMax"/>.</param>
    /// <returns>Where the record stands and where it ends. It is committed when <see cref="Applied"/> reaches the end.</returns>
    /// <exception cref="NotMasterException">This replica is not master (any more).</exception>
    AppendedRecord Append(byte kind, byte flags, ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail);

    /// <summary>
    /// Appends several records that stand next to each other: no other record comes between them. A crash may still keep
    /// a first part of them only; what must be all or nothing ends with a record that says so.
    /// </summary>
    /// <returns>Where each record stands, in order.</returns>
    /// <exception cref="NotMasterException">This replica is not master (any more).</exception>
    IReadOnlyList<AppendedRecord> AppendGroup(IReadOnlyList<PendingRecord> records);

    /// <summary>
    /// Lets the slaves hear of what was appended now, on the caller's thread, which holds no lock. Without it they hear of it from the journal's writer, one
    /// or two changes of threads later. Cheap when there is nothing to tell.
    /// </summary>
    void Announce();

    /// <summary>
    /// Copies a part of a record's body, from memory when it is recent and from the segment file otherwise.
    /// The position must be one that was applied and is still live.
    /// </summary>
    /// <param name="record">Where the record stands.</param>
    /// <param name="bodyOffset">First byte wanted, counted from the start of the body.</param>
    /// <param name="destination">Filled completely.</param>
    /// <exception cref="StoreException">The record cannot be read.</exception>
    void ReadBody(Position record, int bodyOffset, Span<byte> destination);

    /// <summary>The same from memory alone, so that it never waits for the disk.</summary>
    /// <param name="record">Where the record stands.</param>
    /// <param name="bodyOffset">First byte wanted, counted from the start of the body.</param>
    /// <param name="destination">Filled completely, or in an undefined state.</param>
    /// <returns>False when it is not recent enough.</returns>
    /// <exception cref="StoreException">The journal failed.</exception>
    bool TryReadRecent(Position record, int bodyOffset, Span<byte> destination);

    /// <summary>
    /// Ends when there is room for more: at once unless the bytes appended and not yet committed exceed the limit.
    /// Whoever appends on behalf of a connection awaits it first; that is the back-pressure of the disk and the slaves.
    /// </summary>
    /// <exception cref="NotMasterException">This replica stopped being master meanwhile.</exception>
    ValueTask WaitForRoomAsync(CancellationToken cancellationToken);
}

/// <summary>A record as appended.</summary>
/// <param name="Position">Where it stands.</param>
/// <param name="End">Where the next one stands.</param>
public readonly record struct AppendedRecord(Position Position, Position End);

/// <summary>A record to append in a group.</summary>
public readonly record struct PendingRecord(byte Kind, byte Flags, ReadOnlyMemory<byte> Body);

/// <summary>
/// State that is derived from committed records alone. Master, slaves and recovery feed it the same records in the same
/// order, so it must use nothing else: no clock, no randomness, no enumeration order of a hash table. Called by one thread
/// at a time, in journal order.
/// </summary>
public interface IStateMachine
{
    /// <summary>Takes in one committed record. An exception makes the replica unelectable.</summary>
    void Apply(in JournalRecord record);

    /// <summary>The records applied since the last call form a unit as far as the outside is concerned: wake who waits.</summary>
    /// <param name="applied">End of the last applied record.</param>
    void Flush(Position applied);

    /// <summary>Writes the whole state, as it stands after the last applied record.</summary>
    void WriteCheckpoint(System.Buffers.IBufferWriter<byte> output);

    /// <summary>Replaces the whole state by one that <see cref="WriteCheckpoint"/> wrote; an empty input means the initial state.</summary>
    /// <exception cref="StoreException">The bytes are not a checkpoint of this state machine.</exception>
    void ReadCheckpoint(ReadOnlySpan<byte> input);

    /// <summary>The oldest position whose record is still needed; the applied position when none is.</summary>
    Position OldestLive(Position applied);
}

/// <summary>One record, as read from the journal. Valid during the call it is passed to.</summary>
public readonly ref struct JournalRecord(Position position, Position end, byte kind, byte flags, ReadOnlySpan<byte> body)
{
    /// <summary>Where the record stands.</summary>
    public Position Position { get; } = position;

    /// <summary>Where the next record stands.</summary>
    public Position End { get; } = end;

    public byte Kind { get; } = kind;

    public byte Flags { get; } = flags;

    public ReadOnlySpan<byte> Body { get; } = body;
}

/// <summary>Fixed limits of the format.</summary>
public static class JournalLimits
{
    /// <summary>Length of a record's header, in bytes.</summary>
    public const int RecordHeaderBytes = 16;

    /// <summary>Largest body of one record, in bytes: 128 MiB, more than the 100 MiB frame that ActiveMQ's configuration allows.</summary>
    public const int RecordBytesMax = 128 * 1024 * 1024;
}
