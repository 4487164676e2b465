using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>One operation of a multi, which happens whole or not at all. Immutable, but for the caller's data.</summary>
public abstract record MultiOperation
{
    private MultiOperation(string path) => Path = path;

    /// <summary>The znode it names.</summary>
    public string Path { get; }

    /// <summary>Creates a znode.</summary>
    /// <exception cref="ArgumentException">The path is not valid, or the mode needs a time to live.</exception>
    public static MultiOperation Create(string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode) =>
        new CreateOperation(path, data, acl, mode, null);

    /// <summary>Creates a znode that the server deletes when it is childless and unchanged for a time (3.5.3).</summary>
    /// <param name="path">The znode.</param>
    /// <param name="data">Its data.</param>
    /// <param name="acl">Who may do what with it.</param>
    /// <param name="mode">One of the modes with a time to live.</param>
    /// <param name="timeToLive">1 ms to 2^40 ms.</param>
    /// <exception cref="ArgumentException">The path is not valid, or the mode has no time to live.</exception>
    public static MultiOperation Create(
        string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, TimeSpan timeToLive) =>
        new CreateOperation(path, data, acl, mode, timeToLive);

    /// <summary>Deletes a znode.</summary>
    /// <param name="path">The znode.</param>
    /// <param name="version">Expected version of its data; -1 for any.</param>
    public static MultiOperation Delete(string path, int version = -1) => new VersionOperation(Valid(path), OpCode.Delete, version);

    /// <summary>Sets a znode's data.</summary>
    /// <param name="path">The znode.</param>
    /// <param name="data">Its new data.</param>
    /// <param name="version">Expected version of its data; -1 for any.</param>
    public static MultiOperation SetData(string path, ReadOnlyMemory<byte> data, int version = -1) =>
        new SetDataOperation(Valid(path), data, version);

    /// <summary>Changes nothing and fails unless the znode has the version; -1 asks only whether it exists.</summary>
    public static MultiOperation Check(string path, int version) => new VersionOperation(Valid(path), OpCode.Check, version);

    internal abstract Jute.MultiOperation ToWire(ConnectString servers);

    private static string Valid(string path)
    {
        ZnodePath.Validate(path);
        return path;
    }

    private sealed record CreateOperation : MultiOperation
    {
        private readonly ReadOnlyMemory<byte> _data;
        private readonly IReadOnlyCollection<Acl> _acl;
        private readonly CreateMode _mode;
        private readonly TimeSpan? _timeToLive;

        public CreateOperation(
            string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, TimeSpan? timeToLive)
            : base(path)
        {
            CreateBody.Validate(path, mode, timeToLive);
            (_data, _acl, _mode, _timeToLive) = (data, acl, mode, timeToLive);
        }

        internal override Jute.MultiOperation ToWire(ConnectString servers) =>
            new(_mode.ToOpCode(withStat: false), CreateBody.Of(servers.ToServer(Path), _data, _acl, _mode, _timeToLive));
    }

    private sealed record SetDataOperation(string Name, ReadOnlyMemory<byte> Data, int Version) : MultiOperation(Name)
    {
        internal override Jute.MultiOperation ToWire(ConnectString servers) =>
            new(OpCode.SetData, new SetDataRequest(servers.ToServer(Path), Data.ToArray(), Version));
    }

    private sealed record VersionOperation(string Name, OpCode Type, int Version) : MultiOperation(Name)
    {
        internal override Jute.MultiOperation ToWire(ConnectString servers) => new(
            Type, new PathVersionRequest(Type == OpCode.Delete ? servers.ToServerForDelete(Path) : servers.ToServer(Path), Version));
    }
}

/// <summary>The record that asks for a new znode.</summary>
internal static class CreateBody
{
    /// <exception cref="ArgumentException">The path is not valid, or mode and time to live do not go together.</exception>
    public static void Validate(string path, CreateMode mode, TimeSpan? timeToLive)
    {
        ZnodePath.Validate(mode.IsSequential() ? path + "0" : path, nameof(path)); // "/q/" is fine when a number follows
        if (mode.IsTtl() != timeToLive.HasValue)
        {
            throw new ArgumentException(mode.IsTtl() ? $"{mode} needs a time to live" : $"{mode} has no time to live", nameof(mode));
        }
    }

    public static IJuteRecord Of(
        string serverPath, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, TimeSpan? timeToLive) =>
        timeToLive is { } ttl
            ? new CreateTtlRequest(serverPath, data.ToArray(), [.. acl], (int)mode, (long)ttl.TotalMilliseconds)
            : new CreateRequest(serverPath, data.ToArray(), [.. acl], (int)mode);
}
