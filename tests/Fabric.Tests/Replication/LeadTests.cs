using System.Collections.Concurrent;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Replication.Master;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>What a master believes of who follows it: it keeps its journal for them, and hands over to the best of them.</summary>
internal sealed class LeadTests
{
    private static readonly Epoch Epoch = new(4);

    [Test]
    public void What_a_slave_acknowledged_before_its_stream_ended_counts_and_is_no_sign_that_it_follows()
    {
        var ids = Enumerable.Range(0, 3).Select(_ => new ReplicaId(Guid.NewGuid())).ToArray();
        var set = new ReplicaSet(Guid.NewGuid(), ids.Select((id, number) => new ReplicaMember(id, $"broker{number}")));
        using var lead = new Lead(new CommitTracker(set, ids[0], SyncPolicy.QuorumDisk, Epoch, new Position(10), TimeSpan.Zero), Position.Zero, new Position(10));
        lead.OnLocal(new Position(100), new Position(100));
        var first = lead.Admit(ids[1], isDamaged: false);
        lead.OnAcknowledged(ids[1], first, Ack(20), TimeSpan.Zero);
        Assert.That(lead.HeldFrom(TimeSpan.Zero, streamsOnly: true), Is.EqualTo(new Position(20)));

        lead.Dismiss(ids[1], first);
        Assert.That(lead.OnAcknowledged(ids[1], first, Ack(30), TimeSpan.Zero), Is.EqualTo(new Position(30)), "it has that on its disk");
        Assert.That(lead.HeldFrom(TimeSpan.Zero, streamsOnly: true), Is.Null, "nothing is kept for who does not follow");
        Assert.That(lead.Progress().Slaves.Select(slave => slave.Attached), Has.None.True);

        var second = lead.Admit(ids[1], isDamaged: false);
        lead.OnAcknowledged(ids[1], second, Ack(40), TimeSpan.Zero);
        lead.Dismiss(ids[1], first);
        lead.OnAcknowledged(ids[1], first, Ack(0), TimeSpan.Zero);
        Assert.That(lead.HeldFrom(TimeSpan.Zero, streamsOnly: true), Is.EqualTo(new Position(40)), "the newer stream counts, whatever an older one says");

        lead.Hold(ids[1], new Position(5), TimeSpan.FromSeconds(1));
        lead.OnAcknowledged(ids[1], first, Ack(40), TimeSpan.Zero);
        Assert.That(lead.HeldFrom(TimeSpan.Zero, streamsOnly: false), Is.EqualTo(new Position(5)), "an older stream is no sign that a copy is done");

        var third = lead.Admit(ids[1], isDamaged: false);
        lead.Dismiss(ids[1], third);
        Assert.That(lead.Progress().Slaves.Select(slave => slave.Attached), Has.None.True);
        lead.OnAcknowledged(ids[1], second, Ack(40), TimeSpan.Zero);
        Assert.That(lead.Progress().Slaves.Count(slave => slave.Attached), Is.EqualTo(1), "the stream before the one that never began goes on");

        static FollowAck Ack(long position) => new(Epoch, new Position(position), new Position(position));
    }

    [Test]
    public async Task A_slave_whose_second_stream_never_began_is_not_taken_to_follow_when_the_first_has_ended()
    {
        await using var group = ReplicaGroup.Create();
        var hellos = new ConcurrentDictionary<string, FollowHello>();
        group.Network.OnHello = hello => hellos[hello.Container] = hello;
        await Task.WhenAll(group.Containers.Select(container => group.StartAsync(container)));
        var master = await group.SettledMasterAsync();
        var slave = group.Others(master).First();
        IReplicaPeer peer = master.Replica;
        var broken = new BrokenStream();
        Assert.ThrowsAsync<ReplicaLinkException>(() => peer.OnFollowAsync(hellos[slave.Container], broken, CancellationToken.None));
        Assert.That(broken.Written, Is.EqualTo(FollowFrameKind.Accepted));
        await group.EventuallyAsync(() => master.Replica.Status.Slaves.Count(other => other.Attached) == 2, "its first stream goes on");
        await group.CrashAsync(slave);
        await group.EventuallyAsync(() => master.Replica.Status.Slaves.Count(other => other.Attached) == 1, "one follows");
    }

    /// <summary>The slave has gone as soon as it had said who it is.</summary>
    private sealed class BrokenStream : ISlaveStream
    {
        public ValueTask<FollowAck?> ReadAsync(CancellationToken cancellationToken) => throw new ReplicaLinkException("the link is cut", refused: false);

        public FollowFrameKind? Written { get; private set; }

        public ValueTask WriteAsync(FollowFrame frame, CancellationToken cancellationToken)
        {
            Written = frame.Kind;
            throw new ReplicaLinkException("the link is cut", refused: false);
        }
    }
}
