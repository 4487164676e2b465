using Fabric.Store.Journal;

namespace Fabric.Store.Inspection;

/// <summary>What is wrong with a journal, or only remarkable about it. Numbers and names are frozen: scripts read them.</summary>
public enum JournalFaultKind
{
    /// <summary>The directory holds no journal.</summary>
    NoJournal = 1,

    /// <summary>A later version of the program wrote a file.</summary>
    NewerFormat = 2,

    /// <summary>A batch that nobody was told of was torn by a crash. The next start cuts it; nothing is lost.</summary>
    TornTail = 3,

    /// <summary>Bytes that had been synced are not what was written.</summary>
    CorruptRecord = 4,

    /// <summary>The header of a segment is not readable.</summary>
    CorruptHeader = 5,

    /// <summary>Records that are needed are in no segment.</summary>
    MissingSegment = 6,

    /// <summary>A checkpoint is not what was written. The one before it is used, if there is one.</summary>
    CorruptCheckpoint = 7,

    /// <summary>Records are sound and contradict each other: epochs fall, or a checkpoint remembers other records.</summary>
    Contradiction = 8,
}

/// <summary>One fault.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Position">The first position concerned.</param>
/// <param name="File">The file concerned; absolute.</param>
/// <param name="Detail">What was found, in words.</param>
/// <param name="IsHarmless">A start copes with it and nothing that was confirmed is lost.</param>
public sealed record JournalFault(JournalFaultKind Kind, Position Position, string File, string Detail, bool IsHarmless);

/// <summary>A segment, as found.</summary>
/// <param name="File">Its file; absolute.</param>
/// <param name="First">Its first position.</param>
/// <param name="Room">Record bytes that fit into it.</param>
public sealed record SegmentInfo(string File, Position First, long Room);

/// <summary>What an inspection found. Everything in it is true of one moment while the journal is in use.</summary>
public sealed record JournalReport
{
    /// <summary>Where it was looked.</summary>
    public required string Directory { get; init; }

    /// <summary>The first position that was read.</summary>
    public required Position First { get; init; }

    /// <summary>Behind the last sound record that was read.</summary>
    public required Position End { get; init; }

    /// <summary>What is known there to be committed; not beyond <see cref="End"/> unless something is damaged.</summary>
    public required Position Committed { get; init; }

    /// <summary>The newest sound checkpoint; null when there is none.</summary>
    public required Position? Checkpoint { get; init; }

    /// <summary>Segments that lie wholly before it are needed no more.</summary>
    public required Position Cleaned { get; init; }

    /// <summary>The epoch of the last record.</summary>
    public required Epoch LastEpoch { get; init; }

    /// <summary>Segments of the journal.</summary>
    public required int Segments { get; init; }

    /// <summary>Records that were read and checked.</summary>
    public required long Records { get; init; }

    /// <summary>It was closed in order.</summary>
    public required bool IsClosed { get; init; }

    /// <summary>Somebody wrote to it meanwhile: the end is that of the last look.</summary>
    public required bool IsMoving { get; init; }

    /// <summary>What was found, the first position first.</summary>
    public required IReadOnlyList<JournalFault> Faults { get; init; }

    /// <summary>The fault that a start would stop at; null when it would not.</summary>
    public JournalFault? Damage => Faults.FirstOrDefault(fault => !fault.IsHarmless);
}

/// <summary>Is shown what an inspection reads, in journal order, each thing once.</summary>
public interface IJournalVisitor
{
    /// <summary>The records that follow stand in this segment.</summary>
    void OnSegment(SegmentInfo segment);

    /// <summary>A sound record; its body is valid during the call.</summary>
    void OnRecord(in JournalRecord record);
}
