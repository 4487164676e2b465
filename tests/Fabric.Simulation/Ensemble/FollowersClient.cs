using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Fabric.Runtime;
using Fabric.Runtime.Network;
using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.Simulation.Ensemble;

/// <summary>One client of a <see cref="LaggingFollower"/>: its requests are answered one after the other, here or by the leader.</summary>
internal sealed class FollowersClient(LaggingFollower follower, FabricRuntime runtime, INetworkConnection network) : IWatcher
{
    private const int ZxidAt = 4; // in an answer, behind its xid

    private readonly Queue<byte[]> _outgoing = new();
    private readonly AsyncSignal _writable = new();
    private bool _isOver;

    public IReadOnlyList<Id> Identities { get; private set; } = [];

    public void Notify(WatchEventType type, string path) =>
        Send(new ReplyHeader(SpecialXid.Notification, -1, ZooKeeperError.Ok), new WatcherEvent(type, KeeperState.SyncConnected, path));

    public void Abort() => network.Abort();

    public async Task RunAsync()
    {
        var writing = runtime.Scheduler.Start("client of the follower, its answers", WriteAsync);
        try
        {
            await using var upstream = await follower.ConnectAsync(runtime, CancellationToken.None);
            await ServeAsync(upstream);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // One of the two sides is gone, and so the other goes.
        }

        _isOver = true;
        follower.Forget(this);
        _writable.Set();
        await writing;
        network.Abort();
        await network.DisposeAsync();
    }

    private async Task ServeAsync(INetworkConnection upstream)
    {
        if (await ReadAsync(network.Input) is not { } first || ReadRecord<ConnectRequest>(first).LastZxidSeen > follower.State.LastZxid)
        {
            return; // the client has seen what is not here yet: it goes to another
        }

        await ForwardAsync(upstream, first);
        if (await ReadAsync(upstream.Input) is not { } welcome)
        {
            return;
        }

        Send(welcome);
        while (await ReadAsync(network.Input) is { } request)
        {
            var header = ReadRecord<RequestHeader>(request);
            if (header.Type is OpCode.Exists or OpCode.GetData or OpCode.GetChildren or OpCode.GetChildren2 or OpCode.AddWatch or OpCode.RemoveWatches or OpCode.SetWatches or OpCode.SetWatches2)
            {
                Answer(header, request);
                continue;
            }

            await ForwardAsync(upstream, request);
            if (await ReadAsync(upstream.Input) is not { } answer)
            {
                return;
            }

            if (header.Type is OpCode.Ping or OpCode.Auth)
            {
                BinaryPrimitives.WriteInt64BigEndian(answer.AsSpan(ZxidAt), follower.State.LastZxid);
            }
            else
            {
                await follower.AppliedAsync(ReadRecord<ReplyHeader>(answer).Zxid);
            }

            if (header.Type == OpCode.Auth && ReadRecord<ReplyHeader>(answer).Error == ZooKeeperError.Ok)
            {
                var reader = Body(request);
                Identities = [.. Identities, DigestAuthentication.CreateId(AuthPacket.Read(ref reader).Auth)];
            }

            Send(answer);
        }
    }

    private void Answer(RequestHeader header, byte[] request)
    {
        var reader = Body(request);
        var (error, record) = header.Type switch
        {
            OpCode.AddWatch => Watch(AddWatchRequest.Read(ref reader)),
            OpCode.RemoveWatches => Unwatch(RemoveWatchesRequest.Read(ref reader)),
            OpCode.SetWatches => Rearm(new SetWatches2Request(SetWatchesRequest.Read(ref reader), [], [])),
            OpCode.SetWatches2 => Rearm(SetWatches2Request.Read(ref reader)),
            _ => Look(header.Type, PathWatchRequest.Read(ref reader)),
        };
        var answer = new ReplyHeader(header.Xid, follower.State.LastZxid, error);
        if (error == ZooKeeperError.Ok && record is not null)
        {
            Send(answer, record);
        }
        else
        {
            Send(answer);
        }
    }

    private (ZooKeeperError Error, IJuteRecord? Record) Look(OpCode type, PathWatchRequest read)
    {
        var znode = follower.State.Tree.Find(read.Path);
        if (type != OpCode.Exists && znode is not null && !AccessControl.Allows(znode.Acl, AclPermissions.Read, Identities))
        {
            return (ZooKeeperError.NoAuth, null);
        }

        if (read.Watch && (znode is not null || type == OpCode.Exists))
        {
            follower.Watches.Add(this, read.Path, type is OpCode.Exists or OpCode.GetData ? WatchKinds.OnceData : WatchKinds.OnceChildren);
        }

        if (znode is null)
        {
            return (ZooKeeperError.NoNode, null);
        }

        IReadOnlyCollection<string> children = znode.Children is { } names ? [.. names] : [];
        return (ZooKeeperError.Ok, type switch
        {
            OpCode.Exists => new StatResponse(znode.ToStat()),
            OpCode.GetData => new GetDataResponse(znode.Data, znode.ToStat()),
            OpCode.GetChildren => new StringsResponse(children),
            _ => new GetChildren2Response(children, znode.ToStat()),
        });
    }

    private (ZooKeeperError Error, IJuteRecord? Record) Watch(AddWatchRequest wanted)
    {
        follower.Watches.Add(this, wanted.Path, (AddWatchMode)wanted.Mode == AddWatchMode.Persistent ? WatchKinds.Persistent : WatchKinds.Recursive);
        return (ZooKeeperError.Ok, new Int32Record((int)ZooKeeperError.Ok));
    }

    private (ZooKeeperError Error, IJuteRecord? Record) Unwatch(RemoveWatchesRequest wanted)
    {
        var kinds = (WatcherType)wanted.Type switch
        {
            WatcherType.Children => WatchKinds.AllChildren,
            WatcherType.Data => WatchKinds.AllData,
            _ => WatchKinds.AllData | WatchKinds.AllChildren,
        };
        return (follower.Watches.Remove(this, wanted.Path, kinds) ? ZooKeeperError.Ok : ZooKeeperError.NoWatcher, null);
    }

    /// <summary>Arms the watches of a client that has come over; one whose event it has missed fires at once.</summary>
    private (ZooKeeperError Error, IJuteRecord? Record) Rearm(SetWatches2Request wanted)
    {
        var (tree, since) = (follower.State.Tree, wanted.OneShot.RelativeZxid);
        foreach (var path in wanted.OneShot.DataWatches)
        {
            Arm(path, WatchKinds.OnceData, tree.Find(path) is not { } znode ? WatchEventType.NodeDeleted : znode.Mzxid > since ? WatchEventType.NodeDataChanged : WatchEventType.None);
        }

        foreach (var path in wanted.OneShot.ExistWatches)
        {
            Arm(path, WatchKinds.OnceData, tree.Find(path) is null ? WatchEventType.None : WatchEventType.NodeCreated);
        }

        foreach (var path in wanted.OneShot.ChildWatches)
        {
            Arm(path, WatchKinds.OnceChildren, tree.Find(path) is not { } znode ? WatchEventType.NodeDeleted : znode.Pzxid > since ? WatchEventType.NodeChildrenChanged : WatchEventType.None);
        }

        foreach (var path in wanted.PersistentWatches)
        {
            follower.Watches.Add(this, path, WatchKinds.Persistent);
        }

        foreach (var path in wanted.PersistentRecursiveWatches)
        {
            follower.Watches.Add(this, path, WatchKinds.Recursive);
        }

        return (ZooKeeperError.Ok, null);
    }

    private void Arm(string path, WatchKinds kinds, WatchEventType missed)
    {
        if (missed == WatchEventType.None)
        {
            follower.Watches.Add(this, path, kinds);
        }
        else
        {
            Notify(missed, path);
        }
    }

    private static JuteReader Body(byte[] request)
    {
        var reader = new JuteReader(request);
        RequestHeader.Read(ref reader);
        return reader;
    }

    private static T ReadRecord<T>(byte[] frame)
        where T : IJuteRecord<T>
    {
        var reader = new JuteReader(frame);
        return T.Read(ref reader);
    }

    private static async Task ForwardAsync(INetworkConnection to, byte[] frame)
    {
        to.Output.Write(Framed(frame));
        await to.Output.FlushAsync(CancellationToken.None);
    }

    private static async Task<byte[]?> ReadAsync(PipeReader input)
    {
        while (true)
        {
            var result = await input.ReadAsync(CancellationToken.None);
            var buffer = result.Buffer;
            if (JuteFrame.TryRead(ref buffer, JuteFrame.DefaultServerLengthMax, out var content))
            {
                var frame = content.ToArray();
                input.AdvanceTo(buffer.Start);
                return frame;
            }

            input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            if (result.IsCompleted)
            {
                return null;
            }
        }
    }

    private static byte[] Framed(byte[] content)
    {
        var frame = new byte[JuteFrame.HeaderLength + content.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, content.Length);
        content.CopyTo(frame, JuteFrame.HeaderLength);
        return frame;
    }

    private void Send(byte[] content) => Queue(Framed(content));

    private void Send(params ReadOnlySpan<IJuteRecord> records)
    {
        using var buffer = new JuteBuffer();
        JuteFrame.Append(buffer, records);
        Queue(buffer.Written.ToArray());
    }

    private void Queue(byte[] frame)
    {
        _outgoing.Enqueue(frame);
        _writable.Set();
    }

    private async Task WriteAsync()
    {
        try
        {
            while (true)
            {
                await _writable.WaitAsync();
                while (_outgoing.TryDequeue(out var frame))
                {
                    network.Output.Write(frame);
                }

                await network.Output.FlushAsync(CancellationToken.None);
                if (_isOver)
                {
                    return;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The reader of the same connection sees its end.
        }
    }
}
