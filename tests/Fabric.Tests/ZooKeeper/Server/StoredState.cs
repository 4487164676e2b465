using System.Text;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server;
using Fabric.ZooKeeper.Server.Storage;
using Fabric.ZooKeeper.Server.Tree;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>State and log without a server around them: transactions go straight in, one per block unless said otherwise.</summary>
internal sealed class StoredState
{
    public const string DirectoryPath = "/data";

    private StoredState(MemoryDisk disk, ServerState state, TransactionLog log) => (Disk, State, Log) = (disk, state, log);

    public MemoryDisk Disk { get; }

    public ServerState State { get; }

    public TransactionLog Log { get; private set; }

    public StorageDirectory Directory => new(Disk, DirectoryPath);

    /// <summary>Path of the newest segment.</summary>
    public string SegmentPath => Directory.LogPath(Directory.ListLogs()[^1]);

    public static StoredState Recover(MemoryDisk disk)
    {
        var directory = new StorageDirectory(disk, DirectoryPath);
        var (state, log) = new StorageRecovery(directory, new Random(1), NullLogger.Instance).Run();
        return new StoredState(disk, state, log);
    }

    /// <summary>Applies the changes as one transaction and writes it as one block.</summary>
    public void Write(params TreeChange[] changes)
    {
        using var buffer = new JuteBuffer();
        buffer.GetSpan(Block.HeaderLength);
        buffer.Advance(Block.HeaderLength);
        var transaction = new Transaction(State.LastZxid + 1, 1_000_000 + State.LastZxid, 7);
        foreach (var change in changes)
        {
            State.Apply(change, transaction);
        }

        State.LastZxid = transaction.Zxid;
        transaction.Write(new JuteWriter(buffer));
        Log.Append(buffer.WrittenForUpdate);
    }

    /// <summary>Writes a snapshot and goes on in a new segment, as the log writer does.</summary>
    public void Snapshot()
    {
        var image = StateImage.Capture(State);
        Log.StartSegment(image.Zxid + 1);
        SnapshotFile.Write(Directory, image, salt: 99);
    }

    /// <summary>One transaction of every kind of change.</summary>
    public void WriteOneOfEverything()
    {
        Write(new TreeChange.OpenSession(42, 5000, [1, 2, 3]));
        Write(new TreeChange.OpenSession(43, 6000, [4]));
        Write(Create("/a", [1, 2]));
        Write(Create("/a/eph", null, ZnodeOwner.Session(42)), Create("/a/eph2", [], ZnodeOwner.Session(43)));
        Write(Create("/box", null, ZnodeOwner.Container), Create("/ttl", null, ZnodeOwner.TimeToLive(77)));
        Write();
        Write(new TreeChange.SetData("/a", [9, 9, 9], 1));
        Write(new TreeChange.SetAcl("/a", [new Acl(AclPermissions.Read, new Id("digest", "bob:hash"))], 1));
        Write(Create("/b"), Create("/b/c"), new TreeChange.Delete("/b/c"));
        Write(new TreeChange.CloseSession(43));
    }

    public static TreeChange.Create Create(string path, byte[]? data = null, ZnodeOwner owner = default) =>
        new(path, data, [.. WellKnownAcls.OpenUnsafe], owner);

    /// <summary>Everything that must be the same after a restart, as text.</summary>
    public string Describe() => Describe(State);

    public static string Describe(ServerState state)
    {
        var text = new StringBuilder();
        text.AppendLine($"zxid {state.LastZxid}, last session {state.Sessions.LastId}, bytes {state.Tree.DataBytes}");
        foreach (var session in state.Sessions.All.OrderBy(session => session.Id))
        {
            text.AppendLine($"session {session.Id} {session.Timeout} {Convert.ToHexString(session.Password)} "
                + string.Join(",", state.Tree.EphemeralsOf(session.Id).Order(StringComparer.Ordinal)));
        }

        foreach (var (path, znode) in state.Tree.All.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            text.AppendLine($"{path} {znode.ToStat()} creates {znode.Creates} owner {znode.Owner.Value:x} "
                + $"data {(znode.Data is null ? "null" : Convert.ToHexString(znode.Data))} acl {string.Join(";", znode.Acl.AsEnumerable())} "
                + $"children {string.Join(",", (znode.Children ?? []).Order(StringComparer.Ordinal))}");
        }

        text.AppendLine($"reapable {string.Join(",", state.Tree.Reapable.Order(StringComparer.Ordinal))}");
        return text.ToString();
    }
}
