using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Sessions;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>
/// A copy of the state at one transaction that may be written while the state goes on. Data and ACLs are shared with the
/// tree, which never changes them in place, so that the copy costs some hundred bytes per znode whatever they hold.
/// </summary>
internal sealed class StateImage
{
    private readonly ZnodeImage[] _znodes;
    private readonly SessionImage[] _sessions;

    private StateImage(ServerState state)
    {
        Zxid = state.LastZxid;
        LastSessionId = state.Sessions.LastId;
        _sessions = [.. state.Sessions.All.Select(session => new SessionImage(session.Id, session.Timeout, session.Password))];
        _znodes = new ZnodeImage[state.Tree.Count];
        var i = 0;
        foreach (var (path, znode) in state.Tree.All)
        {
            _znodes[i++] = ZnodeImage.Of(path, znode);
        }
    }

    /// <summary>The last transaction it contains.</summary>
    public long Zxid { get; }

    public long LastSessionId { get; }

    public int SessionCount => _sessions.Length;

    public int ZnodeCount => _znodes.Length;

    /// <summary>Copies the state; the caller holds its lock.</summary>
    public static StateImage Capture(ServerState state) => new(state);

    /// <summary>Writes one session.</summary>
    public void WriteSession(int index, JuteWriter writer)
    {
        var session = _sessions[index];
        writer.WriteInt64(session.Id);
        writer.WriteInt32(session.Timeout);
        writer.WriteBuffer(session.Password);
    }

    public static void ReadSession(ref JuteReader reader, SessionTable sessions) =>
        sessions.Open(reader.ReadInt64(), reader.ReadInt32(), reader.ReadBuffer() ?? []);

    /// <summary>Writes one znode.</summary>
    public void WriteZnode(int index, JuteWriter writer)
    {
        ref readonly var znode = ref _znodes[index];
        writer.WriteString(znode.Path);
        writer.WriteBuffer(znode.Data);
        Acl.WriteList(writer, znode.Acl);
        writer.WriteInt64(znode.Czxid);
        writer.WriteInt64(znode.Mzxid);
        writer.WriteInt64(znode.Pzxid);
        writer.WriteInt64(znode.Ctime);
        writer.WriteInt64(znode.Mtime);
        writer.WriteInt32(znode.Version);
        writer.WriteInt32(znode.Aversion);
        writer.WriteInt32(znode.Creates);
        writer.WriteInt64(znode.Owner.Value);
    }

    public static void ReadZnode(ref JuteReader reader, ZnodeTree tree)
    {
        var path = reader.ReadRequiredString();
        tree.Load(path, new Znode
        {
            Data = reader.ReadBuffer(),
            Acl = Acl.ReadList(ref reader) ?? [],
            Czxid = reader.ReadInt64(),
            Mzxid = reader.ReadInt64(),
            Pzxid = reader.ReadInt64(),
            Ctime = reader.ReadInt64(),
            Mtime = reader.ReadInt64(),
            Version = reader.ReadInt32(),
            Aversion = reader.ReadInt32(),
            Creates = reader.ReadInt32(),
            Owner = new ZnodeOwner(reader.ReadInt64()),
        });
    }

    private readonly record struct SessionImage(long Id, int Timeout, byte[] Password);

    private readonly record struct ZnodeImage(
        string Path,
        byte[]? Data,
        Acl[] Acl,
        long Czxid,
        long Mzxid,
        long Pzxid,
        long Ctime,
        long Mtime,
        int Version,
        int Aversion,
        int Creates,
        ZnodeOwner Owner)
    {
        public static ZnodeImage Of(string path, Znode znode) => new(
            path,
            znode.Data,
            znode.Acl,
            znode.Czxid,
            znode.Mzxid,
            znode.Pzxid,
            znode.Ctime,
            znode.Mtime,
            znode.Version,
            znode.Aversion,
            znode.Creates,
            znode.Owner);
    }
}
