using System.Text;
using Fabric.PowerLoss;
using Fabric.Runtime.Disk;

namespace Fabric.Cluster.Tests.PowerLoss;

/// <summary>The disk that forgets does: a second one on the same directory sees what a power cut leaves.</summary>
[TestFixture]
internal sealed class ForgetfulDiskTests
{
    private string _root = null!;
    private string _data = null!;

    [SetUp]
    public void SetUp()
    {
        _root = Directory.CreateTempSubdirectory("fabric-forgetful-").FullName;
        _data = Directory.CreateDirectory(Path.Combine(_root, "data")).FullName;
        Directory.CreateDirectory(Path.Combine(_root, "unlinked"));
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_root, recursive: true);

    [Test]
    public void What_is_synced_stays_and_what_is_not_goes()
    {
        var disk = NewDisk();
        using (var file = disk.Open(PathOf("a"), DiskFileMode.CreateNew))
        {
            file.Write("kept"u8, 0);
            file.Sync();
            disk.SyncDirectory(_data);
            file.Write("gone, and never seen again"u8, 4);
            file.SetLength(6);
            Assert.That((file.Length, TextOf(disk, "a")), Is.EqualTo((6, "keptgo")));
        }

        Assert.That(TextOf(NewDisk(), "a"), Is.EqualTo("kept"));
    }

    [Test]
    public void A_name_is_there_only_when_its_directory_was_synced()
    {
        var disk = NewDisk();
        using (var file = disk.Open(PathOf("a"), DiskFileMode.CreateNew))
        {
            file.Write("synced without a name"u8, 0);
            file.Sync();
        }

        Assert.That((disk.ListFiles(_data), NewDisk().ListFiles(_data)), Is.EqualTo((new[] { "a" }, Array.Empty<string>())));
        disk.SyncDirectory(_data);
        Assert.That(TextOf(NewDisk(), "a"), Is.EqualTo("synced without a name"));
    }

    [Test]
    public void Renames_and_deletions_wait_for_the_directory_too()
    {
        var disk = NewDisk();
        Put(disk, "old", "one");
        Put(disk, "new", "two");
        Put(disk, "other", "three");
        disk.SyncDirectory(_data);
        disk.Rename(PathOf("new"), PathOf("old"));
        disk.Delete(PathOf("other"));
        Assert.That((disk.ListFiles(_data), TextOf(disk, "old")), Is.EqualTo((new[] { "old" }, "two")));
        Assert.That((NewDisk().ListFiles(_data), TextOf(NewDisk(), "old")), Is.EqualTo((new[] { "new", "old", "other" }, "one")));
        disk.SyncDirectory(_data);
        Assert.That((NewDisk().ListFiles(_data), TextOf(NewDisk(), "old")), Is.EqualTo((new[] { "old" }, "two")));
    }

    [Test]
    public void Names_that_change_places_keep_their_contents()
    {
        var disk = NewDisk();
        Put(disk, "a", "was a");
        Put(disk, "b", "was b");
        disk.SyncDirectory(_data);
        disk.Rename(PathOf("a"), PathOf("x"));
        disk.Rename(PathOf("b"), PathOf("a"));
        disk.Rename(PathOf("x"), PathOf("b"));
        disk.SyncDirectory(_data);
        Assert.That((TextOf(NewDisk(), "a"), TextOf(NewDisk(), "b")), Is.EqualTo(("was b", "was a")));
    }

    [Test]
    public void Reads_see_all_writes_in_order_whatever_is_synced()
    {
        var random = new Random(4711);
        var disk = NewDisk();
        var model = Array.Empty<byte>();
        using var file = disk.Open(PathOf("a"), DiskFileMode.CreateNew);
        for (var step = 0; step < 2000; step++)
        {
            switch (random.Next(8))
            {
                case 0:
                    file.Sync();
                    break;
                case 1:
                    var length = random.Next(3000);
                    file.SetLength(length);
                    Array.Resize(ref model, length);
                    break;
                default:
                    var bytes = new byte[random.Next(1, 1500)];
                    random.NextBytes(bytes);
                    var offset = random.Next(3000);
                    file.Write(bytes, offset);
                    Array.Resize(ref model, Math.Max(model.Length, offset + bytes.Length));
                    bytes.CopyTo(model, offset);
                    break;
            }

            var (at, buffer) = (random.Next(3000), new byte[random.Next(2000)]);
            var count = file.Read(buffer, at);
            Assert.That(buffer.AsSpan(0, count).ToArray(), Is.EqualTo(model.Skip(at).Take(buffer.Length)), $"step {step}");
        }

        file.Sync();
        disk.SyncDirectory(_data);
        Assert.That(File.ReadAllBytes(PathOf("a")), Is.EqualTo(model));
    }

    private ForgetfulDisk NewDisk() => new(Path.Combine(_root, "unlinked"));

    private string PathOf(string name) => Path.Combine(_data, name);

    private void Put(ForgetfulDisk disk, string name, string text)
    {
        using var file = disk.Open(PathOf(name), DiskFileMode.CreateNew);
        file.Write(Encoding.UTF8.GetBytes(text), 0);
        file.Sync();
    }

    private string TextOf(ForgetfulDisk disk, string name)
    {
        using var file = disk.Open(PathOf(name), DiskFileMode.Open);
        var buffer = new byte[100];
        return Encoding.UTF8.GetString(buffer.AsSpan(0, file.Read(buffer, 0)));
    }
}
