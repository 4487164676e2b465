using System.Text;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>Requests that take no transaction number. A watch is set in the same step as the read that it continues.</summary>
internal sealed partial class RequestExecutor
{
    private void ExecuteRead(in Request request, ref JuteReader body)
    {
        Answer answer;
        try
        {
            answer = Read(request, ref body);
        }
        catch (JuteException)
        {
            answer = ZooKeeperError.MarshallingError;
        }

        Reply(request, _state.LastZxid, answer);
    }

    private Answer Read(in Request request, ref JuteReader body) => request.Type switch
    {
        OpCode.Exists => Exists(request, PathWatchRequest.Read(ref body)),
        OpCode.GetData => Watched(request, PathWatchRequest.Read(ref body), WatchKinds.OnceData, ReadData),
        OpCode.GetChildren => Watched(request, PathWatchRequest.Read(ref body), WatchKinds.OnceChildren, ReadChildren),
        OpCode.GetChildren2 => Watched(request, PathWatchRequest.Read(ref body), WatchKinds.OnceChildren, ReadChildren2),
        OpCode.GetAcl => GetAcl(request, PathRecord.Read(ref body).Path),
        OpCode.Sync => Answer.Of(PathRecord.Read(ref body)),
        OpCode.MultiRead => MultiRead(request, MultiRequest.Read(ref body)),
        OpCode.GetEphemerals => GetEphemerals(request, PathRecord.Read(ref body).Path),
        OpCode.GetAllChildrenNumber => GetAllChildrenNumber(request, PathRecord.Read(ref body).Path),
        OpCode.WhoAmI => WhoAmI(request),
        OpCode.SetWatches => SetWatches(request, new SetWatches2Request(SetWatchesRequest.Read(ref body), [], [])),
        OpCode.SetWatches2 => SetWatches(request, SetWatches2Request.Read(ref body)),
        OpCode.AddWatch => AddWatch(request, AddWatchRequest.Read(ref body)),
        OpCode.CheckWatches => CheckWatches(request, RemoveWatchesRequest.Read(ref body)),
        _ => RemoveWatches(request, RemoveWatchesRequest.Read(ref body)),
    };

    private Answer Exists(in Request request, PathWatchRequest read)
    {
        if (read.Path.Contains('\0', StringComparison.Ordinal))
        {
            return ZooKeeperError.BadArguments;
        }

        if (read.Watch && !TryWatch(request, read.Path, WatchKinds.OnceData))
        {
            return ZooKeeperError.ThrottledOperation;
        }

        return _state.Tree.Find(read.Path) is { } znode ? Answer.Of(new StatResponse(znode.ToStat())) : ZooKeeperError.NoNode;
    }

    private Answer Watched(in Request request, PathWatchRequest read, WatchKinds kinds, Func<Znode, IJuteRecord> toRecord)
    {
        var error = FindReadable(request, read.Path, AclPermissions.Read, out var znode);
        if (error != ZooKeeperError.Ok)
        {
            return error;
        }

        return read.Watch && !TryWatch(request, read.Path, kinds)
            ? ZooKeeperError.ThrottledOperation
            : Answer.Of(toRecord(znode!));
    }

    private static GetDataResponse ReadData(Znode znode) => new(znode.Data, znode.ToStat());

    private static StringsResponse ReadChildren(Znode znode) => new(ChildrenOf(znode));

    private static GetChildren2Response ReadChildren2(Znode znode) => new(ChildrenOf(znode), znode.ToStat());

    private static IReadOnlyCollection<string> ChildrenOf(Znode znode) =>
        znode.Children is { } children ? children : Array.Empty<string>();

    private Answer GetAcl(in Request request, string path)
    {
        var error = FindReadable(request, path, AclPermissions.Read | AclPermissions.Admin, out var znode);
        if (error != ZooKeeperError.Ok)
        {
            return error;
        }

        var mayChange = AccessControl.Allows(znode!.Acl, AclPermissions.Admin, request.Connection.Identities);
        return Answer.Of(new GetAclResponse(mayChange ? znode.Acl : AccessControl.Mask(znode.Acl), znode.ToStat()));
    }

    /// <summary>
    /// Each item succeeds or fails by itself (reference §1.12). The answer is bounded: a znode may be named any number of times, and no client takes more in one frame.
    /// </summary>
    private Answer MultiRead(in Request request, MultiRequest reads)
    {
        var results = new List<MultiResult>(reads.Operations.Count);
        var bytes = 0L;
        foreach (var operation in reads.Operations)
        {
            if (operation is not { Type: OpCode.GetData or OpCode.GetChildren, Body: PathWatchRequest read })
            {
                return ZooKeeperError.MarshallingError;
            }

            var error = FindReadable(request, read.Path, AclPermissions.Read, out var znode);
            bytes += MultiReadItemBytes + (error != ZooKeeperError.Ok ? 0
                : operation.Type == OpCode.GetData ? znode!.Data?.Length ?? 0
                : znode!.Children?.Sum(child => (long)sizeof(int) + Encoding.UTF8.GetByteCount(child)) ?? 0);
            if (bytes > MultiReadBytesMax)
            {
                return ZooKeeperError.BadArguments;
            }

            results.Add(error != ZooKeeperError.Ok
                ? MultiResult.Failed(error)
                : new MultiResult(
                    operation.Type,
                    ZooKeeperError.Ok,
                    operation.Type == OpCode.GetData ? ReadData(znode!) : ReadChildren(znode!)));
        }

        return Answer.Of(new MultiResponse(results));
    }

    /// <summary>The prefix is one of characters, not of path components (reference §1.7).</summary>
    private Answer GetEphemerals(in Request request, string prefix) => Answer.Of(new StringsResponse(
        [.. _state.Tree.EphemeralsOf(request.Session.Id).Where(path => path.StartsWith(prefix, StringComparison.Ordinal))]));

    private Answer GetAllChildrenNumber(in Request request, string path)
    {
        var error = FindReadable(request, path, AclPermissions.Read, out _);
        return error != ZooKeeperError.Ok ? error : Answer.Of(new Int32Record(_state.Tree.CountDescendants(path)));
    }

    private static Answer WhoAmI(in Request request) => Answer.Of(new WhoAmIResponse(
        [.. request.Connection.Identities.Select(identity => new ClientInfo(identity.Scheme, AccessControl.UserOf(identity)))]));

    private ZooKeeperError FindReadable(in Request request, string path, AclPermissions permissions, out Znode? znode)
    {
        znode = _state.Tree.Find(path);
        if (znode is null)
        {
            return ZooKeeperError.NoNode;
        }

        return AccessControl.Allows(znode.Acl, permissions, request.Connection.Identities)
            ? ZooKeeperError.Ok
            : ZooKeeperError.NoAuth;
    }
}
