using System.Buffers;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>
/// The paths that every message takes make no garbage. The disk stands still while they are measured, so that all of it falls into one
/// batch; what a batch costs, and a new chunk of memory, is not counted here.
/// </summary>
[TestFixture]
internal sealed class AllocationTests
{
    private const string Home = "/journal";
    private const int Portion = 10_000;

    [Test]
    public async Task Appending_and_copying_allocate_nothing()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 100);
        using var hold = Hold.Syncs(disk);
        opened.Append(100);
        await Opened.UntilAsync(() => opened.Journal.Offered == opened.Journal.End, "the writer is busy");
        var body = new byte[1024];
        var buffer = new byte[Portion];
        Assert.That(Measure(_ => AppendMany(opened.Journal, body)), Is.Zero, "append");
        Assert.That(Measure(_ => opened.Journal.CopyRecords(Position.Zero, buffer)), Is.Zero, "copy");
    }

    [Test]
    public async Task Taking_replicated_bytes_allocates_nothing()
    {
        var bytes = await MakeAsync();
        var disk = new CrashDisk();
        await using var slave = await Opened.OpenAsync(Home, disk);
        using var hold = Hold.Syncs(disk);
        Take(slave.Journal, bytes, 0, 1);
        await Opened.UntilAsync(() => slave.Journal.Offered == slave.Journal.End, "the writer is busy");
        Assert.That(Measure(round => Take(slave.Journal, bytes, 1 + (round * 20), 20)), Is.Zero);
    }

    private static void AppendMany(Journal journal, byte[] body)
    {
        for (var i = 0; i < 200; i++)
        {
            journal.Append(Numbers.Kind, 0, body.AsSpan(0, 100), body.AsSpan(100));
        }
    }

    private static void Take(Journal journal, byte[] bytes, int portion, int count)
    {
        for (var at = portion * Portion; at < (portion + count) * Portion; at += Portion)
        {
            journal.AppendReplicated(new Position(at), new ReadOnlySequence<byte>(bytes, at, Portion));
        }
    }

    private static async Task<byte[]> MakeAsync()
    {
        await using var master = await Opened.OpenAsync(Home, new CrashDisk());
        master.BecomeMaster();
        await master.AppendAppliedAsync(0, 600, 1000);
        var bytes = new byte[master.Journal.End.Value];
        Assert.That(master.Journal.CopyRecords(Position.Zero, bytes), Is.EqualTo(bytes.Length));
        return bytes;
    }

    /// <summary>What the second of two rounds allocates on this thread, in bytes.</summary>
    private static long Measure(Action<int> round)
    {
        round(0);
        var before = GC.GetAllocatedBytesForCurrentThread();
        round(1);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
