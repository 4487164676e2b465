namespace Fabric.Store.Journal;

/// <summary>
/// What a broker has to know of the disk to decide whether to copy live messages forward (<c>Fabric.Broker/RECORDS.md</c>, "Relocated"): a segment goes when nothing before its
/// end is live, so one old message keeps everything behind it.
/// </summary>
/// <param name="Releasable">
/// Segments that lie wholly before it are kept for what is live in them or before them alone; those behind it are kept for other replicas too, so to empty them frees nothing now.
/// </param>
/// <param name="SegmentBytes">Length of a segment, in bytes: what is let go at a time.</param>
/// <param name="IsLow">The disk is nearly full: producers wait (<see cref="JournalOptions.FreeBytesLow"/>), and space is worth more than writes.</param>
/// <param name="IsExhausted">
/// Half of what is kept free for acknowledgements is used up. Nothing is to be copied: what is left is theirs.
/// </param>
public readonly record struct JournalSpace(Position Releasable, long SegmentBytes, bool IsLow, bool IsExhausted);
