using System.Buffers;
using System.Buffers.Binary;
using Fabric.Store.Copy;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>What a master has: a journal whose start was cleaned away, with several epochs.</summary>
internal sealed class CopiedJournal
{
    private readonly byte[] _records;

    private CopiedJournal(Journal journal, CheckpointReader checkpoint, IReadOnlyList<int> numbers)
    {
        (First, End, Checkpoint, Numbers) = (journal.First, journal.End, checkpoint.Position, numbers);
        Epochs = [.. journal.SystemRecords.Select(record => record.Position)];
        CheckpointBytes = new byte[checkpoint.Bytes];
        checkpoint.Read(CheckpointBytes, 0);
        _records = new byte[End - First];
        for (var at = 0; at < _records.Length;)
        {
            at += journal.CopyRecords(First + at, _records.AsSpan(at));
        }
    }

    public Position First { get; }

    public Position End { get; }

    public Position Checkpoint { get; }

    public byte[] CheckpointBytes { get; }

    /// <summary>What lies before it no replica needs (FORMAT.md, "Checkpoint").</summary>
    public Position Cleaned => new(BinaryPrimitives.ReadInt64LittleEndian(CheckpointBytes.AsSpan(32)));

    public IReadOnlyList<int> Numbers { get; }

    public IReadOnlyList<Position> Epochs { get; }

    public static async Task<CopiedJournal> CreateAsync()
    {
        var disk = new CrashDisk();
        var count = 0;
        await using (var opened = await OpenAsync())
        {
            for (byte epoch = 1; epoch <= 5 || opened.Journal.First == Position.Zero; epoch++)
            {
                opened.BecomeMaster(epoch);
                await opened.AppendAppliedAsync(count, 300, 500);
                count += 300;
                opened.Journal.ResignMaster(null);
            }
        }

        // What follows is too little for another checkpoint, so nothing goes while it is looked at.
        await using var reopened = await OpenAsync();
        reopened.BecomeMaster(100);
        await reopened.AppendAppliedAsync(count, 300, 500);
        using var checkpoint = reopened.Journal.OpenCheckpoint()!;
        return new CopiedJournal(reopened.Journal, checkpoint, reopened.Numbers.Applied);

        async Task<Opened> OpenAsync()
        {
            var opened = await Opened.OpenAsync("/journal", disk, with: options => options with { CheckpointBytes = 256 * 1024, RetainedBytesMax = 0 });
            opened.Numbers.Oldest = null;
            return opened;
        }
    }

    public byte[] Bytes(Position from, int count) => _records.AsSpan((int)(from - First), count).ToArray();

    public async Task SendCheckpointAsync(JournalCopy copy)
    {
        await copy.BeginAsync(First, Checkpoint, CheckpointBytes.Length);
        foreach (var piece in CheckpointBytes.Chunk(1000))
        {
            await copy.AppendCheckpointAsync(new ReadOnlySequence<byte>(piece));
        }
    }

    /// <returns>Where what is durable ends.</returns>
    public async Task<Position> SendRecordsAsync(JournalCopy copy, Position from, Position to, int chunkBytes = 10_000)
    {
        while (from < to)
        {
            var count = (int)Math.Min(chunkBytes, to - from);
            await copy.AppendRecordsAsync(from, new ReadOnlySequence<byte>(Bytes(from, count)), CancellationToken.None);
            from += count;
        }

        copy.DropPartialRecord();
        return copy.End;
    }
}
