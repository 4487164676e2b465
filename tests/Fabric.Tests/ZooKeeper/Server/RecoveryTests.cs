using System.Buffers.Binary;
using Fabric.ZooKeeper.Server.Storage;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>Log and snapshots bring back exactly the acknowledged state, or the server says that they cannot.</summary>
public sealed class RecoveryTests
{
    [Test]
    public void The_log_alone_brings_everything_back()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();

        Assert.That(StoredState.Recover(stored.Disk.Copy()).Describe(), Is.EqualTo(stored.Describe()));
    }

    [Test]
    public void A_snapshot_and_the_log_behind_it_bring_everything_back()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        stored.Snapshot();
        stored.Write(StoredState.Create("/behind"));
        stored.Write();

        // The segments before the snapshot are not needed.
        stored.Disk.Delete(stored.Directory.LogPath(1));

        Assert.That(StoredState.Recover(stored.Disk.Copy()).Describe(), Is.EqualTo(stored.Describe()));
    }

    [Test]
    public void A_snapshot_of_many_znodes_spans_many_blocks()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.Write([.. Enumerable.Range(0, 3000).Select(i => StoredState.Create($"/node-{i}", new byte[i % 500]))]);
        stored.Snapshot();

        Assert.That(StoredState.Recover(stored.Disk.Copy()).Describe(), Is.EqualTo(stored.Describe()));
    }

    [Test]
    public void A_damaged_snapshot_is_passed_over_for_the_one_before_it([Range(0, 400, 7)] int offset)
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.Write(StoredState.Create("/first"));
        stored.Snapshot();
        stored.WriteOneOfEverything();
        stored.Snapshot();
        stored.Write(StoredState.Create("/last"));
        var newest = stored.Directory.SnapshotPath(stored.Directory.ListSnapshots()[^1]);
        stored.Disk[newest] = Flip(stored.Disk[newest], offset);

        Assert.That(StoredState.Recover(stored.Disk.Copy()).Describe(), Is.EqualTo(stored.Describe()));
    }

    [Test]
    public void A_snapshot_that_cannot_be_read_is_passed_over_too()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.Write(StoredState.Create("/first"));
        stored.Snapshot();
        stored.WriteOneOfEverything();
        stored.Snapshot();
        var disk = stored.Disk.Copy();
        disk.Unreadable = stored.Directory.SnapshotPath(stored.Directory.ListSnapshots()[^1]);

        Assert.That(StoredState.Recover(disk).Describe(), Is.EqualTo(stored.Describe()));
    }

    [Test]
    public void A_tail_cut_at_any_byte_of_the_last_block_is_forgotten_and_the_log_goes_on()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        var before = stored.Describe();
        var whole = stored.Disk[stored.SegmentPath].Length;
        stored.Write(StoredState.Create("/torn", [1, 2, 3, 4]));
        var torn = stored.Disk[stored.SegmentPath];

        for (var length = whole; length < torn.Length; length++)
        {
            var disk = stored.Disk.Copy();
            disk[stored.SegmentPath] = torn[..length];
            AssertTailIsForgotten(disk, before, $"cut to {length} bytes");
        }
    }

    [Test]
    public void Any_damaged_byte_of_the_last_block_makes_it_a_torn_write()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        var before = stored.Describe();
        var whole = stored.Disk[stored.SegmentPath].Length;
        stored.Write(StoredState.Create("/torn", [1, 2, 3, 4]));

        for (var offset = whole; offset < stored.Disk[stored.SegmentPath].Length; offset++)
        {
            var disk = stored.Disk.Copy();
            disk[stored.SegmentPath] = Flip(disk[stored.SegmentPath], offset);
            AssertTailIsForgotten(disk, before, $"byte {offset}");
        }
    }

    [Test]
    public void Space_that_was_never_written_at_the_end_is_a_torn_write()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        var before = stored.Describe();
        stored.Disk[stored.SegmentPath] = [.. stored.Disk[stored.SegmentPath], .. new byte[5000]];

        AssertTailIsForgotten(stored.Disk, before, "zeros");
    }

    [Test]
    public void Any_damaged_byte_before_a_sound_block_stops_the_start()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.Write(StoredState.Create("/first", [1, 2, 3]));
        var end = stored.Disk[stored.SegmentPath].Length;
        stored.Write(StoredState.Create("/second"));

        for (var offset = 0; offset < end; offset++)
        {
            var disk = stored.Disk.Copy();
            disk[stored.SegmentPath] = Flip(disk[stored.SegmentPath], offset);
            var image = disk[stored.SegmentPath];
            Assert.That(() => StoredState.Recover(disk), Throws.TypeOf<ZooKeeperStorageException>(), $"byte {offset}");
            Assert.That(disk[stored.SegmentPath], Is.EqualTo(image), "a refused directory is left as it is");
        }
    }

    [Test]
    public void A_torn_end_of_a_segment_that_has_a_successor_stops_the_start()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        var first = stored.SegmentPath;
        stored.Log.StartSegment(stored.State.LastZxid + 1);
        stored.Write(StoredState.Create("/second"));
        stored.Disk[first] = stored.Disk[first][..^1];

        Assert.That(() => StoredState.Recover(stored.Disk), Throws.TypeOf<ZooKeeperStorageException>());
    }

    [Test]
    public void A_missing_segment_stops_the_start()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        var first = stored.SegmentPath;
        stored.Log.StartSegment(stored.State.LastZxid + 1);
        stored.Write(StoredState.Create("/second"));
        stored.Disk.Delete(first);

        Assert.That(() => StoredState.Recover(stored.Disk), Throws.TypeOf<ZooKeeperStorageException>());
    }

    [Test]
    public void A_segment_that_was_being_created_is_created_again([Range(0, BlockFileHeader.Length - 1)] int length)
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.WriteOneOfEverything();
        stored.Log.StartSegment(stored.State.LastZxid + 1);
        stored.Disk[stored.SegmentPath] = stored.Disk[stored.SegmentPath][..length];

        AssertTailIsForgotten(stored.Disk, stored.Describe(), $"{length} bytes");
    }

    [Test]
    public void A_newer_format_is_refused()
    {
        var stored = StoredState.Recover(new MemoryDisk());
        stored.Write(StoredState.Create("/first"));
        var bytes = stored.Disk[stored.SegmentPath];
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(12), BlockFileHeader.FormatVersion + 1);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(32), Crc32C.Compute(bytes.AsMemory(0, 32)));
        stored.Disk[stored.SegmentPath] = bytes;

        Assert.That(
            () => StoredState.Recover(stored.Disk),
            Throws.TypeOf<ZooKeeperStorageException>().With.Message.Contains("format version 2"));
    }

    [Test]
    public void The_checksum_is_that_of_the_published_check_value() =>
        Assert.That(Crc32C.Compute("123456789"u8.ToArray()), Is.EqualTo(0xE3069283));

    private static void AssertTailIsForgotten(MemoryDisk disk, string before, string how)
    {
        var recovered = StoredState.Recover(disk);
        Assert.That(recovered.Describe(), Is.EqualTo(before), how);

        recovered.Write(StoredState.Create("/next"));
        Assert.That(StoredState.Recover(disk.Copy()).Describe(), Is.EqualTo(recovered.Describe()), how);
    }

    private static byte[] Flip(byte[] bytes, int offset)
    {
        bytes[offset % bytes.Length] ^= 0x40;
        return bytes;
    }
}
