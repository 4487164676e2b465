using System.Globalization;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>What becomes of a write: an error, or nothing to do (check), or a change.</summary>
internal readonly record struct Verdict(ZooKeeperError Error, TreeChange? Change)
{
    public static Verdict Allowed => new(ZooKeeperError.Ok, null);

    public static implicit operator Verdict(ZooKeeperError error) => new(error, null);

    public static implicit operator Verdict(TreeChange change) => new(ZooKeeperError.Ok, change);
}

/// <summary>
/// Checks a write against the tree as it is now and resolves it to a change. The order of the checks is Apache ZooKeeper's
/// (reference §3.4), because clients can see which error comes first. Changes nothing.
/// </summary>
/// <param name="tree">The tree.</param>
/// <param name="identities">Who the writer is.</param>
/// <param name="sessionId">The writer's session, owner of ephemerals.</param>
/// <param name="dataBytesMax">Limit of the tree, in bytes.</param>
internal readonly struct WriteRules(ZnodeTree tree, IReadOnlyList<Id> identities, long sessionId, long dataBytesMax)
{
    /// <param name="operation">create, create2, createContainer or createTTL: it, not the flags, says which kind it is.</param>
    /// <param name="request">Path, data, ACL and flags.</param>
    /// <param name="ttl">Time to live in milliseconds of createTTL.</param>
    public Verdict Create(OpCode operation, CreateRequest request, long ttl)
    {
        if (!TryGetOwner(operation, (CreateMode)request.Flags, ttl, out var owner) || !IsPlausible(request.Path))
        {
            return ZooKeeperError.BadArguments;
        }

        if (AccessControl.Resolve(request.Acl, identities) is not { } acl)
        {
            return ZooKeeperError.InvalidAcl;
        }

        var parent = tree.Find(ZnodePath.ParentOf(request.Path));
        if (parent is null)
        {
            return ZooKeeperError.NoNode;
        }

        if (!AccessControl.Allows(parent.Acl, AclPermissions.Create, identities))
        {
            return ZooKeeperError.NoAuth;
        }

        var path = ((CreateMode)request.Flags).IsSequential()
            ? request.Path + parent.Creates.ToString("D10", CultureInfo.InvariantCulture)
            : request.Path;
        if (!ZnodePath.IsValid(path, out _))
        {
            return ZooKeeperError.BadArguments;
        }

        if (tree.Find(path) is not null)
        {
            return ZooKeeperError.NodeExists;
        }

        if (parent.Owner.IsEphemeral)
        {
            return ZooKeeperError.NoChildrenForEphemerals;
        }

        return Exceeds(path.Length + (request.Data?.Length ?? 0))
            ? ZooKeeperError.QuotaExceeded
            : new TreeChange.Create(path, request.Data, acl, owner);
    }

    public Verdict Delete(PathVersionRequest request)
    {
        if (!IsPlausible(request.Path)
            || request.Path is ZnodePath.Root or ZnodeTree.SystemPath or ZnodeTree.QuotaPath or ZnodeTree.ConfigPath)
        {
            return ZooKeeperError.BadArguments;
        }

        var parent = tree.Find(ZnodePath.ParentOf(request.Path));
        if (parent is null)
        {
            return ZooKeeperError.NoNode;
        }

        if (!AccessControl.Allows(parent.Acl, AclPermissions.Delete, identities))
        {
            return ZooKeeperError.NoAuth;
        }

        var znode = tree.Find(request.Path);
        if (znode is null)
        {
            return ZooKeeperError.NoNode;
        }

        if (!IsExpected(request.Version, znode.Version))
        {
            return ZooKeeperError.BadVersion;
        }

        return znode.ChildCount > 0 ? ZooKeeperError.NotEmpty : new TreeChange.Delete(request.Path);
    }

    public Verdict SetData(SetDataRequest request)
    {
        var error = CheckAccess(request.Path, AclPermissions.Write, out var znode);
        if (error != ZooKeeperError.Ok)
        {
            return error;
        }

        if (!IsExpected(request.Version, znode!.Version))
        {
            return ZooKeeperError.BadVersion;
        }

        return Exceeds((request.Data?.Length ?? 0) - (znode.Data?.Length ?? 0))
            ? ZooKeeperError.QuotaExceeded
            : new TreeChange.SetData(request.Path, request.Data, unchecked(znode.Version + 1));
    }

    public Verdict SetAcl(SetAclRequest request)
    {
        if (!ZnodePath.IsValid(request.Path, out _))
        {
            return ZooKeeperError.BadArguments;
        }

        if (AccessControl.Resolve(request.Acl, identities) is not { } acl)
        {
            return ZooKeeperError.InvalidAcl;
        }

        var error = CheckAccess(request.Path, AclPermissions.Admin, out var znode);
        if (error != ZooKeeperError.Ok)
        {
            return error;
        }

        return IsExpected(request.Version, znode!.Aversion)
            ? new TreeChange.SetAcl(request.Path, acl, unchecked(znode.Aversion + 1))
            : ZooKeeperError.BadVersion;
    }

    public Verdict Check(PathVersionRequest request)
    {
        var error = CheckAccess(request.Path, AclPermissions.Read, out var znode);
        if (error != ZooKeeperError.Ok)
        {
            return error;
        }

        return IsExpected(request.Version, znode!.Version) ? Verdict.Allowed : ZooKeeperError.BadVersion;
    }

    private static bool IsPlausible(string path) =>
        path.Contains('/', StringComparison.Ordinal) && !path.Contains('\0', StringComparison.Ordinal);

    private static bool IsExpected(int expected, int version) => expected == -1 || expected == version;

    private bool Exceeds(long more) => more > 0 && tree.DataBytes + more > dataBytesMax;

    private bool TryGetOwner(OpCode operation, CreateMode mode, long ttl, out ZnodeOwner owner)
    {
        owner = ZnodeOwner.Nobody;
        if (mode is < CreateMode.Persistent or > CreateMode.PersistentSequentialWithTtl
            || mode.IsTtl() != (operation == OpCode.CreateTtl))
        {
            return false;
        }

        if (operation == OpCode.CreateTtl)
        {
            owner = ZnodeOwner.TimeToLive(ttl);
            return ttl is > 0 and <= ZnodeOwner.TtlMax;
        }

        if (operation == OpCode.CreateContainer)
        {
            owner = ZnodeOwner.Container;
        }
        else if (mode.IsEphemeral())
        {
            owner = ZnodeOwner.Session(sessionId);
        }

        return true;
    }

    private ZooKeeperError CheckAccess(string path, AclPermissions permission, out Znode? znode)
    {
        znode = null;
        if (!ZnodePath.IsValid(path, out _))
        {
            return ZooKeeperError.BadArguments;
        }

        znode = tree.Find(path);
        if (znode is null)
        {
            return ZooKeeperError.NoNode;
        }

        return AccessControl.Allows(znode.Acl, permission, identities) ? ZooKeeperError.Ok : ZooKeeperError.NoAuth;
    }
}
