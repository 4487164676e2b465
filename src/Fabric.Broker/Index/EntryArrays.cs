namespace Fabric.Broker.Index;

/// <summary>
/// Arrays for the chunks of all queues, in four sizes. Some of each are kept for the next chunk, so that a steady flow allocates none. Of the full chunks only those keep one that have
/// been filled or looked at lately, or whose messages somebody holds.
/// </summary>
internal sealed class EntryArrays
{
    public const int Largest = 512;
    private const int Smallest = 8;
    private const int Growth = 4;
    private const int KeptPerSize = 64;

    private const int UnpackedMax = 64;

    private readonly Stack<QueueEntry[]>[] _kept = [new(), new(), new(), new()];
    private readonly Queue<EntryChunk> _unpacked = new(); // full chunks that have an array

    /// <summary>An array for a queue that has this many entries already.</summary>
    public QueueEntry[] Rent(long depth)
    {
        var length = Smallest;
        while (length < depth && length < Largest)
        {
            length *= Growth;
        }

        return Take(length);
    }

    /// <summary>An array of one of the four sizes; what is in it is left over.</summary>
    public QueueEntry[] Take(int length) => _kept[SizeOf(length)].TryPop(out var array) ? array : new QueueEntry[length];

    public void Return(QueueEntry[] array)
    {
        var kept = _kept[SizeOf(array.Length)];
        if (kept.Count < KeptPerSize)
        {
            kept.Push(array);
        }
    }

    /// <summary>Whether a chunk can have as many entries.</summary>
    public static bool IsSize(int length) => length is Smallest or Smallest * Growth or Smallest * Growth * Growth or Largest;

    /// <summary>A full chunk has an array; one that has had it for longest gives it up instead.</summary>
    public void NoteUnpacked(EntryChunk chunk)
    {
        _unpacked.Enqueue(chunk);
        for (var looked = 0; looked < 2 && _unpacked.Count > UnpackedMax; looked++)
        {
            var oldest = _unpacked.Dequeue();
            if (!oldest.TryPack())
            {
                _unpacked.Enqueue(oldest);
            }
        }
    }

    private static int SizeOf(int length) => length switch
    {
        Smallest => 0,
        Smallest * Growth => 1,
        Smallest * Growth * Growth => 2,
        _ => 3,
    };
}
