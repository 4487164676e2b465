using System.Buffers;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

internal sealed class GrpcLinkFollowTests : GrpcLinkFixture
{
    private const int BatchBytes = 256 * 1024;

    [Test]
    public async Task A_slave_says_hello_and_gets_every_kind_of_frame()
    {
        FollowHello? seen = null;
        FollowFrame[] frames =
        [
            Frame(FollowFrameKind.Accepted) with { Master = Master, Position = new Position(5_200_000_000) },
            Frame(FollowFrameKind.Accepted) with { Master = Master, Position = new Position(5_200_000_000), Copies = true },
            Frame(FollowFrameKind.Heartbeat),
            Frame(FollowFrameKind.HandOver),
            Frame(FollowFrameKind.Refused) with { Refusal = FollowRefusal.NotMember, Reason = "zu weit zurück" },
        ];
        Peer.OnFollow = async (hello, stream, token) =>
        {
            seen = hello;
            foreach (var frame in frames)
            {
                await stream.WriteAsync(frame, token);
            }
        };

        await using var stream = await SlaveLink.FollowAsync(Address, Hello, CancellationToken.None);
        foreach (var expected in frames)
        {
            Assert.That(await stream.ReadAsync(CancellationToken.None), Is.EqualTo(expected));
        }

        Assert.That(await stream.ReadAsync(CancellationToken.None), Is.Null, "the master ended the stream");
        Assert.That(seen! with { Epochs = Hello.Epochs }, Is.EqualTo(Hello));
        Assert.That(seen.Epochs.Starts, Is.EqualTo(Hello.Epochs.Starts));
    }

    [Test]
    public async Task Batches_go_down_from_one_reused_buffer_and_acknowledgements_come_up()
    {
        const int Batches = 100;
        var acknowledged = new List<FollowAck>();
        Peer.OnFollow = async (_, stream, token) =>
        {
            var acknowledging = ReadAllAsync(stream, acknowledged, token);
            var buffer = new byte[BatchBytes];
            for (var from = 0L; from < (long)Batches * BatchBytes; from += BatchBytes)
            {
                var records = Fill(buffer, BatchBytes, from);
                await stream.WriteAsync(
                    Frame(FollowFrameKind.Batch) with { Position = new Position(from), Records = records }, token);
                Array.Clear(buffer);
            }

            await acknowledging;
        };

        var stream = await SlaveLink.FollowAsync(Address, Hello, CancellationToken.None);
        var end = 0L;
        for (var number = 0; number < Batches; number++)
        {
            var frame = (await stream.ReadAsync(CancellationToken.None))!.Value;
            Assert.That((frame.Kind, frame.Position.Value, frame.Records.Length), Is.EqualTo((FollowFrameKind.Batch, end, (long)BatchBytes)));
            Assert.That(IsAsFilled(frame.Records, end), Is.True, $"batch {number}");
            end += BatchBytes;
            await stream.AcknowledgeAsync(new FollowAck(new Epoch(7), new Position(end), new Position(end - 1)), CancellationToken.None);
        }

        Assert.That(() => { lock (acknowledged) { return acknowledged.Count; } }, Is.EqualTo(Batches).After(30_000, 10));
        await stream.DisposeAsync();
        Assert.That(acknowledged[^1], Is.EqualTo(new FollowAck(new Epoch(7), new Position(end), new Position(end - 1))));
    }

    [Test]
    public async Task A_batch_in_several_pieces_arrives_whole()
    {
        var buffer = new byte[50_000];
        Fill(buffer, buffer.Length, 0);
        var first = new Piece(buffer.AsMemory(0, 17));
        var last = first.Append(buffer.AsMemory(17, 20_000)).Append(buffer.AsMemory(20_017));
        var records = new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
        Peer.OnFollow = async (_, stream, token) => await stream.WriteAsync(Frame(FollowFrameKind.Batch) with { Records = records }, token);

        await using var stream = await SlaveLink.FollowAsync(Address, Hello, CancellationToken.None);
        var frame = (await stream.ReadAsync(CancellationToken.None))!.Value;
        Assert.That(frame.Records.Length, Is.EqualTo(buffer.Length));
        Assert.That(IsAsFilled(frame.Records, 0), Is.True);
    }

    [Test]
    public async Task A_batch_in_step_with_its_acknowledgement_allocates_next_to_nothing()
    {
        const int Warm = 50;
        const int Batches = 400;
        Peer.OnFollow = async (_, stream, token) =>
        {
            var buffer = new byte[BatchBytes];
            do
            {
                await stream.WriteAsync(
                    Frame(FollowFrameKind.Batch) with { Records = new ReadOnlySequence<byte>(buffer) }, token);
            }
            while (await stream.ReadAsync(token) is not null);
        };

        await using var stream = await SlaveLink.FollowAsync(Address, Hello, CancellationToken.None);
        await TakeAsync(stream, Warm);
        var before = GC.GetTotalAllocatedBytes(precise: true);
        await TakeAsync(stream, Batches);
        var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        Assert.That(allocated, Is.LessThan((long)Batches * BatchBytes / 10), "of what went over the wire, on both sides together");
    }

    [Test]
    public async Task The_token_of_the_opening_ends_the_opening_only()
    {
        using var opening = new CancellationTokenSource();
        Peer.OnFollow = async (_, stream, token) =>
        {
            while (await stream.ReadAsync(token) is not null)
            {
                await stream.WriteAsync(Frame(FollowFrameKind.Heartbeat), token);
            }
        };

        await using var stream = await SlaveLink.FollowAsync(Address, Hello, opening.Token);
        await opening.CancelAsync();
        await stream.AcknowledgeAsync(new FollowAck(new Epoch(7), default, default), CancellationToken.None);
        Assert.That((await stream.ReadAsync(CancellationToken.None))?.Kind, Is.EqualTo(FollowFrameKind.Heartbeat));
    }

    [Test]
    public async Task A_slave_that_goes_ends_the_masters_end()
    {
        var (begun, ended) = (new TaskCompletionSource(), new TaskCompletionSource());
        Peer.OnFollow = async (_, _, token) =>
        {
            await using var registration = token.Register(ended.SetResult);
            begun.SetResult();
            await ended.Task;
        };

        var stream = await SlaveLink.FollowAsync(Address, Hello, CancellationToken.None);
        await begun.Task.WaitAsync(Limit);
        await stream.DisposeAsync();
        await ended.Task.WaitAsync(Limit);
    }

    [Test]
    public async Task A_master_that_stops_breaks_the_slaves_end()
    {
        Peer.OnFollow = async (_, stream, token) =>
        {
            await stream.WriteAsync(Frame(FollowFrameKind.Heartbeat), token);
            await Task.Delay(Timeout.Infinite, token);
        };

        await using var stream = await SlaveLink.FollowAsync(Address, Hello, CancellationToken.None);
        Assert.That(await stream.ReadAsync(CancellationToken.None), Is.Not.Null);
        var reading = stream.ReadAsync(CancellationToken.None).AsTask();
        await MasterLink.DisposeAsync();
        var failure = Assert.ThrowsAsync<ReplicaLinkException>(() => reading.WaitAsync(Limit))!;
        Assert.That(failure.Refused, Is.False);
        Assert.ThrowsAsync<ReplicaLinkException>(
            async () => await stream.AcknowledgeAsync(new FollowAck(new Epoch(7), default, default), CancellationToken.None));
    }

    private static async Task TakeAsync(IFollowStream stream, int count)
    {
        for (var number = 0; number < count; number++)
        {
            Assert.That((await stream.ReadAsync(CancellationToken.None))?.Kind, Is.EqualTo(FollowFrameKind.Batch));
            await stream.AcknowledgeAsync(new FollowAck(new Epoch(7), default, default), CancellationToken.None);
        }
    }

    private static async Task ReadAllAsync(ISlaveStream stream, List<FollowAck> acknowledged, CancellationToken cancellationToken)
    {
        while (await stream.ReadAsync(cancellationToken) is { } ack)
        {
            lock (acknowledged)
            {
                acknowledged.Add(ack);
            }
        }
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory) => Memory = memory;

        public Piece Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Piece(memory) { RunningIndex = RunningIndex + Memory.Length };
            Next = next;
            return next;
        }
    }
}
