using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Replication.Grpc;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Journal;
using Google.Protobuf;
using Wire = Fabric.Replication.Contracts;

namespace Fabric.Tests.Replication;

internal sealed class GrpcLinkTests : GrpcLinkFixture
{
    private static readonly PromiseRequest Claim = new(new MasterAddress(Slave, "broker2", "127.0.0.1:1", new Epoch(8)), HandOver: true);
    private static readonly FetchRequest Tail = new(StoreId, Slave, new Epoch(8), new Position(100), new Position(1_000_000));

    [Test]
    public async Task A_promise_is_asked_for_and_given([Values] bool granted)
    {
        var expected = new PromiseReply(Master, granted, new Epoch(8), !granted, granted ? Journal : EpochTable.Empty);
        (Guid StoreId, PromiseRequest Request)? seen = null;
        Peer.OnPromise = (storeId, request, _) =>
        {
            seen = (storeId, request);
            return Task.FromResult(expected);
        };

        var reply = await SlaveLink.PromiseAsync(Address, StoreId, Claim, Limit, CancellationToken.None);
        Assert.That(seen, Is.EqualTo((StoreId, Claim)));
        Assert.That(reply with { Epochs = expected.Epochs }, Is.EqualTo(expected));
        Assert.That(reply.Epochs.Starts, Is.EqualTo(expected.Epochs.Starts));
        Assert.That(reply.Epochs.End, Is.EqualTo(expected.Epochs.End));
    }

    [Test]
    public async Task A_promise_that_takes_too_long_is_given_up_on_both_sides()
    {
        var cancelled = new TaskCompletionSource();
        Peer.OnPromise = async (_, _, token) =>
        {
            await using var registration = token.Register(cancelled.SetResult);
            await Task.Delay(Timeout.Infinite, token);
            throw new NotSupportedException();
        };

        var failure = Assert.ThrowsAsync<ReplicaLinkException>(
            () => SlaveLink.PromiseAsync(Address, StoreId, Claim, TimeSpan.FromMilliseconds(100), CancellationToken.None))!;
        Assert.That(failure.Refused, Is.False);
        await cancelled.Task.WaitAsync(Limit);
    }

    [Test]
    public void Where_no_process_listens_the_link_says_so()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = $"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
        listener.Stop();

        Assert.That(Refusal(() => SlaveLink.PromiseAsync(address, StoreId, Claim, Limit, CancellationToken.None)), Is.True);
        Assert.That(Refusal(() => SlaveLink.FollowAsync(address, Hello, CancellationToken.None)), Is.True);
        Assert.That(Refusal(async () => await SlaveLink.FetchAsync(address, Tail, CancellationToken.None).AnyAsync()), Is.True);

        static bool Refusal(AsyncTestDelegate ask) => Assert.ThrowsAsync<ReplicaLinkException>(ask)!.Refused;
    }

    [Test]
    public void An_address_that_is_none_is_a_link_failure_too()
    {
        Assert.ThrowsAsync<ReplicaLinkException>(() => SlaveLink.FollowAsync("no/address", Hello, CancellationToken.None));
        Assert.ThrowsAsync<ReplicaLinkException>(() => SlaveLink.FollowAsync("host.invalid:1", Hello, CancellationToken.None));
    }

    [Test]
    public async Task A_port_in_use_is_an_io_failure()
    {
        var options = new GrpcReplicaLinkOptions { Port = int.Parse(Address.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture) };
        await using var second = new GrpcReplicaLink(FabricRuntime.System, options);
        var failure = Assert.ThrowsAsync<IOException>(() => second.ListenAsync(Peer, CancellationToken.None))!;
        Assert.That(failure.Message, Does.Contain("in use"));
    }

    [Test]
    public async Task A_fetch_brings_the_bytes_in_their_order()
    {
        const int Size = 100_000;
        FetchRequest? seen = null;
        Peer.OnFetch = (request, token) =>
        {
            seen = request;
            return ChunksAsync(request.From.Value, Size, 10, token);
        };

        var from = Tail.From.Value;
        await foreach (var chunk in SlaveLink.FetchAsync(Address, Tail, CancellationToken.None))
        {
            Assert.That(chunk.Position.Value, Is.EqualTo(from));
            Assert.That(chunk.Records.Length, Is.EqualTo(Size));
            Assert.That(IsAsFilled(chunk.Records, from), Is.True);
            from += Size;
        }

        Assert.That(seen, Is.EqualTo(Tail));
        Assert.That(from, Is.EqualTo(Tail.From.Value + (10 * Size)));
    }

    [Test]
    public async Task A_fetch_that_is_left_stops_the_sender()
    {
        var ended = new TaskCompletionSource();
        Peer.OnFetch = (_, token) => EndlessAsync(token);
        await foreach (var chunk in SlaveLink.FetchAsync(Address, Tail, CancellationToken.None))
        {
            Assert.That(chunk.Records.Length, Is.EqualTo(1000));
            break;
        }

        await ended.Task.WaitAsync(Limit);

        async IAsyncEnumerable<JournalChunk> EndlessAsync([EnumeratorCancellation] CancellationToken token)
        {
            await using var registration = token.Register(ended.SetResult);
            await foreach (var chunk in ChunksAsync(0, 1000, int.MaxValue, token))
            {
                yield return chunk;
            }
        }
    }

    [Test]
    public void A_fetch_for_an_epoch_that_was_not_promised_is_refused()
    {
        Peer.OnFetch = (_, _) => throw new NotMasterException(null);
        var failure = Assert.ThrowsAsync<ReplicaLinkException>(
            async () => await SlaveLink.FetchAsync(Address, Tail, CancellationToken.None).AnyAsync())!;
        Assert.That(failure.Refused, Is.False);
        Assert.That(failure.InnerException, Is.InstanceOf<GrpcException>());
        Assert.That(((GrpcException)failure.InnerException!).Code, Is.EqualTo(GrpcStatusCode.FailedPrecondition));
    }

    [Test]
    public void Ids_and_journals_that_make_no_sense_are_invalid_arguments()
    {
        using var channel = new GrpcChannel(Address);
        var id = ByteString.CopyFrom(new byte[16]);
        var shape = new Wire.JournalShape { End = 5 };
        shape.Epochs.Add(new Wire.EpochStart { Epoch = 3, Position = 9 });

        Assert.That(
            Code(() => channel.UnaryAsync(ReplicationMethods.Promise, new Wire.PromiseRequest { StoreId = ByteString.CopyFrom(1, 2, 3) })),
            Is.EqualTo(GrpcStatusCode.InvalidArgument));
        Assert.That(
            Code(() => SayAsync(channel, new Wire.FollowRequest { Hello = new Wire.FollowHello { StoreId = id, Replica = id, Journal = shape } })),
            Is.EqualTo(GrpcStatusCode.InvalidArgument));
        Assert.That(
            Code(() => SayAsync(channel, new Wire.FollowRequest { Ack = new Wire.FollowAck() })),
            Is.EqualTo(GrpcStatusCode.InvalidArgument),
            "no hello");

        Peer.OnFollow = async (_, stream, token) =>
        {
            try
            {
                await stream.ReadAsync(token);
            }
            catch (ReplicaLinkException)
            {
                // As a master does: whoever reads has only to stop.
            }
        };
        var hello = new Wire.FollowRequest { Hello = new Wire.FollowHello { StoreId = id, Replica = id } };
        Assert.That(Code(() => SayAsync(channel, hello, hello)), Is.EqualTo(GrpcStatusCode.InvalidArgument), "two hellos");

        static GrpcStatusCode Code(AsyncTestDelegate ask) => Assert.ThrowsAsync<GrpcException>(ask)!.Code;
    }

    private static async Task SayAsync(GrpcChannel channel, params Wire.FollowRequest[] words)
    {
        await using var call = channel.Duplex(ReplicationMethods.Follow);
        foreach (var word in words)
        {
            await call.Requests.WriteAsync(word);
        }

        await call.Responses.MoveNextAsync();
    }

    private static async IAsyncEnumerable<JournalChunk> ChunksAsync(
        long from, int size, int count, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var buffer = new byte[size];
        for (var number = 0; number < count; number++)
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            yield return new JournalChunk(new Position(from), Fill(buffer, size, from));
            from += size;
        }
    }
}
