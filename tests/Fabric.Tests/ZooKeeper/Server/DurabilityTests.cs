using System.Collections.Concurrent;
using System.Net.Sockets;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>What was acknowledged stays; what cannot be kept is not acknowledged.</summary>
public sealed class DurabilityTests
{
    private const string Path = StoredState.DirectoryPath;

    [Test]
    public async Task A_power_loss_takes_nothing_that_was_acknowledged([Range(1, 12)] int seed)
    {
        var random = new Random(seed);
        var disk = new MemoryDisk();
        await using var server = await StartAsync(disk, segmentBytesMax: 4096);
        var acknowledged = new ConcurrentQueue<string>();
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 4).Select(i => WriteAsync(server, $"/w{i}-", acknowledged, stop.Token)).ToArray();

        var enough = 50 + random.Next(400);
        await Wait.UntilAsync(() => acknowledged.Count >= enough);
        var expected = acknowledged.ToArray();
        var image = disk.AfterPowerLoss(random);
        await stop.CancelAsync();
        await Task.WhenAll(writers);

        await using var restarted = await StartAsync(image);
        await using var client = await restarted.OpenAsync();
        Assert.That(expected.Except((await client.GetChildrenAsync("/")).Select(name => $"/{name}")), Is.Empty);
    }

    [Test]
    public async Task A_killed_server_leaves_every_acknowledged_change_on_disk()
    {
        var directory = TestServer.NewDirectory();
        var copy = TestServer.NewDirectory();
        try
        {
            await using var abandoned = await TestServer.StartAsync(directory: directory);
            await using var client = await abandoned.OpenAsync();
            for (var i = 0; i < 50; i++)
            {
                await client.CreateAsync($"/n{i}", [(byte)i]);
            }

            await client.CreateAsync("/mine", mode: CreateMode.Ephemeral);
            foreach (var file in Directory.EnumerateFiles(directory, "log.*"))
            {
                File.Copy(file, System.IO.Path.Combine(copy, System.IO.Path.GetFileName(file)));
            }

            await using var restarted = await TestServer.StartAsync(directory: copy);
            await using var again = await RawClient.ReattachAsync(restarted.Port, client.Session!);
            Assert.That(again.Session!.SessionId, Is.EqualTo(client.Session!.SessionId));
            Assert.That(await again.GetChildrenAsync("/"), Has.Length.EqualTo(52));
            Assert.That(await again.GetDataAsync("/n49"), Is.EqualTo(new byte[] { 49 }));
            Assert.That((await again.ExistsAsync("/mine"))!.Value.EphemeralOwner, Is.EqualTo(client.Session!.SessionId));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
            Directory.Delete(copy, recursive: true);
        }
    }

    [Test]
    public async Task Nothing_is_told_before_it_is_on_disk()
    {
        var disk = new MemoryDisk();
        await using var server = await StartAsync(disk);
        await using var writer = await server.OpenAsync();
        await using var watcher = await server.OpenAsync();
        await using var bystander = await server.OpenAsync();
        await watcher.ExistsAsync("/new", watch: true);

        disk.SyncsPass.Reset();
        var created = await writer.SendAsync(OpCode.Create, RawClientRequests.Create("/new"));
        await Wait.UntilAsync(async () => (await server.AskAsync("mntr")).Contains("zk_znode_count\t5", StringComparison.Ordinal));
        var read = await watcher.SendAsync(OpCode.GetData, new PathWatchRequest("/new", false));

        // Pings go round meanwhile, so the silence of the other two is not slowness.
        for (var i = 0; i < 10; i++)
        {
            await bystander.RequestAsync(OpCode.Ping);
        }

        Assert.That(writer.HasInput, Is.False, "the writer was told");
        Assert.That(watcher.HasInput, Is.False, "the watcher or reader was told");

        disk.SyncsPass.Set();
        Assert.That((await writer.ReadReplyAsync(created)).Error, Is.EqualTo(ZooKeeperError.Ok));
        Assert.That((await watcher.ReadReplyAsync(read)).Error, Is.EqualTo(ZooKeeperError.Ok));
        Assert.That(watcher.Events.Select(e => e.Type), Is.EqualTo(new[] { WatchEventType.NodeCreated }));
    }

    [Test]
    public async Task Requests_that_arrive_during_a_sync_share_the_next_one()
    {
        const int count = 300;
        var disk = new MemoryDisk();
        await using var server = await StartAsync(disk);
        await using var client = await server.OpenAsync();
        await using var bystander = await server.OpenAsync();
        disk.SyncsPass.Reset();
        var syncs = disk.Syncs;

        var xids = new List<int>();
        for (var i = 0; i < count; i++)
        {
            xids.Add(await client.SendAsync(OpCode.Create, RawClientRequests.Create($"/n{i}")));
        }

        await Wait.UntilAsync(async () =>
            (await server.AskAsync("mntr")).Contains($"zk_znode_count\t{count + 4}", StringComparison.Ordinal));
        disk.SyncsPass.Set();
        foreach (var xid in xids)
        {
            Assert.That((await client.ReadReplyAsync(xid)).Error, Is.EqualTo(ZooKeeperError.Ok));
        }

        Assert.That(disk.Syncs - syncs, Is.LessThanOrEqualTo(3));
    }

    [Test]
    public async Task A_failed_sync_stops_the_server_without_an_answer()
    {
        var disk = new MemoryDisk();
        await using var server = await StartAsync(disk);
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/before");

        disk.FailSyncs = true;
        await client.SendAsync(OpCode.Create, RawClientRequests.Create("/after"));

        Assert.That(await client.ReadFrameAsync(), Is.Null, "the client is cut off, not answered");
        Assert.That(
            async () => await server.Server.Failed,
            Throws.InstanceOf<IOException>().With.Message.Contains(Path).And.Message.Contains("Input/output error"));
        await Wait.UntilAsync(() => IsRefusedAsync(server.Port));
    }

    [Test]
    public async Task A_failed_sync_ends_those_that_were_about_to_leave_too()
    {
        var disk = new MemoryDisk();
        var server = await StartAsync(disk);
        await using var client = await server.OpenAsync();
        disk.SyncsPass.Reset();
        disk.FailSyncs = true;
        await client.SendAsync(OpCode.CloseSession); // its answer waits for the sync, and the connection for its answer
        await Wait.UntilAsync(async () => (await server.AskAsync("mntr")).Contains("zk_outstanding_requests\t1", StringComparison.Ordinal));
        disk.SyncsPass.Set();
        Assert.That(await client.ReadFrameAsync(), Is.Null);
        await server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Test]
    public async Task A_full_disk_stops_the_server_and_a_restart_with_room_goes_on()
    {
        var disk = new MemoryDisk();
        var server = await StartAsync(disk);
        await using (server)
        {
            await using var client = await server.OpenAsync();
            await client.CreateAsync("/before");
            disk.FreeBytes = 100;

            await client.SendAsync(OpCode.Create, RawClientRequests.Create("/after", new byte[500]));
            Assert.That(await client.ReadFrameAsync(), Is.Null);
            Assert.That(async () => await server.Server.Failed, Throws.InstanceOf<IOException>().With.Message.Contains("No space left"));
        }

        disk.FreeBytes = long.MaxValue;
        await using var restarted = await StartAsync(disk);
        await using var again = await restarted.OpenAsync();
        Assert.That(await again.ExistsAsync("/before"), Is.Not.Null);
        Assert.That(await again.ExistsAsync("/after"), Is.Null);
        await again.CreateAsync("/after");
    }

    [Test]
    public async Task Old_segments_and_snapshots_go_and_what_is_left_is_enough()
    {
        var disk = new MemoryDisk();
        await using (var server = await StartAsync(disk, segmentBytesMax: 4096))
        {
            await using var client = await server.OpenAsync();
            for (var i = 0; i < 400; i++)
            {
                await client.CreateAsync($"/n{i}", new byte[100]);
            }

            await Wait.UntilAsync(() => disk.ListFiles(Path).Count(name => name.StartsWith("snapshot.", StringComparison.Ordinal)) == 3);
        }

        var logs = disk.ListFiles(Path).Where(name => name.StartsWith("log.", StringComparison.Ordinal)).ToArray();
        Assert.That(logs, Does.Not.Contain("log.0000000000000001"));
        Assert.That(logs, Has.Length.LessThanOrEqualTo(6));

        await using var restarted = await StartAsync(disk);
        await using var again = await restarted.OpenAsync();
        Assert.That(await again.GetChildrenAsync("/"), Has.Length.EqualTo(401));
    }

    [Test]
    public async Task The_log_stays_until_there_are_as_many_snapshots_as_are_kept()
    {
        var disk = new MemoryDisk();
        await using (var server = await StartAsync(disk, segmentBytesMax: 4096))
        {
            await using var client = await server.OpenAsync();
            for (var i = 0; Snapshots().Length == 0; i++)
            {
                await client.CreateAsync($"/n{i}", new byte[100]);
            }
        }

        var before = StoredState.Recover(disk.Copy()).Describe();
        foreach (var snapshot in Snapshots())
        {
            disk[$"{Path}/{snapshot}"] = new byte[100];
        }

        Assert.That(StoredState.Recover(disk).Describe(), Is.EqualTo(before));

        string[] Snapshots() => [.. disk.ListFiles(Path).Where(name => name.StartsWith("snapshot.", StringComparison.Ordinal) && !name.EndsWith(".tmp", StringComparison.Ordinal))];
    }

    [Test]
    public async Task A_failed_snapshot_does_not_stop_the_server()
    {
        var disk = new MemoryDisk();
        await using var server = await TestServer.StartAsync(
            options => options with { SegmentBytesMax = 4096 }, Path, FabricRuntime.System with { Disk = new SnapshotRefusingDisk(disk) });
        await using var client = await server.OpenAsync();

        for (var i = 0; i < 200; i++)
        {
            await client.CreateAsync($"/n{i}", new byte[100]);
        }

        await server.DisposeAsync();
        Assert.That(disk.ListFiles(Path), Has.None.StartsWith("snapshot."));
        Assert.That(StoredState.Recover(disk).State.Tree.Count, Is.EqualTo(204));
    }

    [Test]
    public async Task Transaction_numbers_of_failed_writes_are_not_used_again_after_a_restart()
    {
        var disk = new MemoryDisk();
        long seen;
        await using (var server = await StartAsync(disk))
        {
            await using var client = await server.OpenAsync();
            seen = (await client.RequestAsync(OpCode.Delete, new PathVersionRequest("/none", -1))).Zxid;
        }

        await using var restarted = await StartAsync(disk);
        await using var again = await RawClient.ConnectTcpAsync(restarted.Port);
        await again.HandshakeAsync(new ConnectRequest(0, seen, 30_000, 0, null, false));
        Assert.That((await again.RequestAsync(OpCode.Ping)).Zxid, Is.EqualTo(seen + 1));
    }

    private static Task<TestServer> StartAsync(MemoryDisk disk, long segmentBytesMax = 1 << 20) => TestServer.StartAsync(
        options => options with { SegmentBytesMax = segmentBytesMax }, Path, FabricRuntime.System with { Disk = disk });

    private static async Task WriteAsync(
        TestServer server, string prefix, ConcurrentQueue<string> acknowledged, CancellationToken stop)
    {
        await using var client = await server.OpenAsync();
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            acknowledged.Enqueue(await client.CreateAsync($"{prefix}{i}", new byte[i % 50]));
        }
    }

    private static async Task<bool> IsRefusedAsync(int port)
    {
        try
        {
            await using var late = await RawClient.ConnectTcpAsync(port);
            return false;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode == SocketError.ConnectionRefused;
        }
    }

    /// <summary>A disk on which no snapshot can be created.</summary>
    private sealed class SnapshotRefusingDisk(IDisk disk) : IDisk
    {
        public IDiskFile Open(string path, DiskFileMode mode) => path.EndsWith("snapshot.tmp", StringComparison.Ordinal)
            ? new FullFile(disk.Open(path, mode))
            : disk.Open(path, mode);

        public bool FileExists(string path) => disk.FileExists(path);

        public bool DirectoryExists(string path) => disk.DirectoryExists(path);

        public void CreateDirectory(string path) => disk.CreateDirectory(path);

        public IReadOnlyList<string> ListFiles(string directory) => disk.ListFiles(directory);

        public void Rename(string from, string to) => disk.Rename(from, to);

        public void Delete(string path) => disk.Delete(path);

        public void SyncDirectory(string path) => disk.SyncDirectory(path);

        public long FreeSpace(string path) => disk.FreeSpace(path);

        public IDisposable LockDirectory(string directory) => disk.LockDirectory(directory);

        /// <summary>Takes some bytes, and no more when it is synced.</summary>
        private sealed class FullFile(IDiskFile file) : IDiskFile
        {
            public long Length => file.Length;

            public int Read(Span<byte> buffer, long offset) => file.Read(buffer, offset);

            public void Write(ReadOnlySpan<byte> bytes, long offset) => file.Write(bytes, offset);

            public void SetLength(long length) => file.SetLength(length);

            public void Sync() => throw new IOException("No space left on device");

            public void Dispose() => file.Dispose();
        }
    }
}
