using System.Globalization;
using Fabric.Runtime.Disk;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>Names of the files in a data directory: <c>log.HEX</c>, <c>snapshot.HEX</c> (16 digits of a zxid), <c>snapshot.tmp</c>, <c>lock</c>.</summary>
internal sealed class StorageDirectory(IDisk disk, string path)
{
    private const string LogPrefix = "log.";
    private const string SnapshotPrefix = "snapshot.";
    private const int HexDigits = 16;

    public IDisk Disk => disk;

    public string Path => path;

    /// <summary>Where a snapshot is written before it gets its name.</summary>
    public string TemporarySnapshotPath => System.IO.Path.Combine(path, "snapshot.tmp");

    public string LogPath(long firstZxid) => PathOf(LogPrefix, firstZxid);

    public string SnapshotPath(long zxid) => PathOf(SnapshotPrefix, zxid);

    /// <summary>First transactions of all log segments, ascending.</summary>
    public IReadOnlyList<long> ListLogs() => List(LogPrefix);

    /// <summary>Last transactions of all snapshots, ascending.</summary>
    public IReadOnlyList<long> ListSnapshots() => List(SnapshotPrefix);

    /// <summary>Makes creations, renames and deletions durable.</summary>
    public void Sync() => disk.SyncDirectory(path);

    private string PathOf(string prefix, long zxid) =>
        System.IO.Path.Combine(path, prefix + zxid.ToString("x16", CultureInfo.InvariantCulture));

    private List<long> List(string prefix)
    {
        var zxids = new List<long>();
        foreach (var name in disk.ListFiles(path))
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal)
                && name.Length == prefix.Length + HexDigits
                && long.TryParse(name.AsSpan(prefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var zxid))
            {
                zxids.Add(zxid);
            }
        }

        zxids.Sort();
        return zxids;
    }
}
