using System.Buffers;
using Fabric.Replication.Core;
using Fabric.Store.Journal;
using Google.Protobuf;
using Wire = Fabric.Replication.Contracts;

namespace Fabric.Replication.Grpc;

/// <summary>Between the messages of <c>proto/replication.proto</c> and the types of the core.</summary>
internal static class ContractMapping
{
    public static Wire.PromiseRequest ToWire(this PromiseRequest request, Guid storeId) => new()
    {
        StoreId = ToWire(storeId),
        Candidate = ToWire(request.Candidate.Replica.Value),
        Container = request.Candidate.Container,
        Address = request.Candidate.Address,
        Epoch = request.Candidate.Epoch.Value,
        HandOver = request.HandOver,
    };

    public static (Guid StoreId, PromiseRequest Request) ToCore(this Wire.PromiseRequest request) => (
        ToGuid(request.StoreId),
        new PromiseRequest(
            new MasterAddress(ToReplica(request.Candidate), request.Container, request.Address, new Epoch(request.Epoch)),
            request.HandOver));

    public static Wire.PromiseReply ToWire(this PromiseReply reply) => new()
    {
        Replica = ToWire(reply.Replica.Value),
        Granted = reply.Granted,
        PromisedEpoch = reply.Promised.Value,
        MasterAlive = reply.MasterAlive,
        Journal = ToWire(reply.Epochs),
    };

    public static PromiseReply ToCore(this Wire.PromiseReply reply) => new(
        ToReplica(reply.Replica), reply.Granted, new Epoch(reply.PromisedEpoch), reply.MasterAlive, ToTable(reply.Journal));

    public static Wire.FollowHello ToWire(this FollowHello hello) => new()
    {
        StoreId = ToWire(hello.StoreId),
        Replica = ToWire(hello.Replica.Value),
        Container = hello.Container,
        PromisedEpoch = hello.Promised.Value,
        Journal = ToWire(hello.Epochs),
        Damaged = hello.IsDamaged,
    };

    public static FollowHello ToCore(this Wire.FollowHello hello) => new(
        ToGuid(hello.StoreId), ToReplica(hello.Replica), hello.Container, new Epoch(hello.PromisedEpoch), ToTable(hello.Journal), hello.Damaged);

    /// <summary>The bytes of a batch are wrapped, not copied: they must stay as they are until the message is written.</summary>
    public static Wire.FollowReply ToWire(this in FollowFrame frame)
    {
        var reply = new Wire.FollowReply
        {
            Epoch = frame.Epoch.Value,
            Committed = frame.Committed.Value,
            Everywhere = frame.Everywhere.Value,
        };
        switch (frame.Kind)
        {
            case FollowFrameKind.Accepted:
                reply.Accepted = new Wire.FollowAccepted
                {
                    Master = ToWire(frame.Master.Value),
                    CommonPosition = frame.Position.Value,
                    Copies = frame.Copies,
                };
                break;
            case FollowFrameKind.Refused:
                reply.Refused = new Wire.FollowRefused { Refusal = (int)frame.Refusal, Reason = frame.Reason ?? string.Empty };
                break;
            case FollowFrameKind.Batch:
                reply.Batch = new Wire.Batch { Position = frame.Position.Value, Records = ToWire(frame.Records) };
                break;
            case FollowFrameKind.HandOver:
                reply.HandOver = new Wire.HandOver();
                break;
            default:
                break;
        }

        return reply;
    }

    public static FollowFrame ToCore(this Wire.FollowReply reply)
    {
        var frame = new FollowFrame(FollowFrameKind.Heartbeat, new Epoch(reply.Epoch), new Position(reply.Committed))
        {
            Everywhere = new Position(reply.Everywhere),
        };
        return reply.KindCase switch
        {
            Wire.FollowReply.KindOneofCase.Accepted => frame with
            {
                Kind = FollowFrameKind.Accepted,
                Master = ToReplica(reply.Accepted.Master),
                Position = new Position(reply.Accepted.CommonPosition),
                Copies = reply.Accepted.Copies,
            },
            Wire.FollowReply.KindOneofCase.Refused => frame with
            {
                Kind = FollowFrameKind.Refused,
                Refusal = (FollowRefusal)reply.Refused.Refusal,
                Reason = reply.Refused.Reason,
            },
            Wire.FollowReply.KindOneofCase.Batch => frame with
            {
                Kind = FollowFrameKind.Batch,
                Position = new Position(reply.Batch.Position),
                Records = new ReadOnlySequence<byte>(reply.Batch.Records.Memory),
            },
            Wire.FollowReply.KindOneofCase.HandOver => frame with { Kind = FollowFrameKind.HandOver },
            _ => frame,
        };
    }

    public static Wire.FollowAck ToWire(this FollowAck ack) => new()
    {
        Epoch = ack.Epoch.Value,
        Received = ack.Received.Value,
        Durable = ack.Durable.Value,
        SpaceLow = ack.IsSpaceLow,
    };

    public static FollowAck ToCore(this Wire.FollowAck ack) =>
        new(new Epoch(ack.Epoch), new Position(ack.Received), new Position(ack.Durable), ack.SpaceLow);

    public static Wire.FetchRequest ToWire(this FetchRequest request) => new()
    {
        StoreId = ToWire(request.StoreId),
        Candidate = ToWire(request.Candidate.Value),
        Epoch = request.Epoch.Value,
        From = request.From.Value,
        To = request.To.Value,
    };

    public static FetchRequest ToCore(this Wire.FetchRequest request) => new(
        ToGuid(request.StoreId),
        ToReplica(request.Candidate),
        new Epoch(request.Epoch),
        new Position(request.From),
        new Position(request.To));

    public static Wire.CopyRequest ToWire(this CopyRequest request) => new()
    {
        StoreId = ToWire(request.StoreId),
        Replica = ToWire(request.Replica.Value),
        Epoch = request.Epoch.Value,
        Checkpoint = request.Checkpoint.Value,
        End = request.End.Value,
    };

    public static CopyRequest ToCore(this Wire.CopyRequest request) => new(
        ToGuid(request.StoreId),
        ToReplica(request.Replica),
        new Epoch(request.Epoch),
        new Position(request.Checkpoint),
        new Position(request.End));

    /// <summary>The bytes are wrapped, not copied: they must stay as they are until the message is written.</summary>
    public static Wire.CopyReply ToWire(this in CopyFrame frame) => frame.Kind switch
    {
        CopyFrameKind.Start => new Wire.CopyReply
        {
            Start = new Wire.CopyStart
            {
                Resumes = frame.Resumes,
                Checkpoint = frame.Checkpoint.Value,
                CheckpointBytes = frame.CheckpointBytes,
                First = frame.Position.Value,
                To = frame.To.Value,
            },
        },
        CopyFrameKind.Checkpoint => new Wire.CopyReply { Checkpoint = ToWire(frame.Bytes) },
        _ => new Wire.CopyReply { Records = new Wire.Batch { Position = frame.Position.Value, Records = ToWire(frame.Bytes) } },
    };

    public static CopyFrame ToCore(this Wire.CopyReply reply) => reply.KindCase switch
    {
        Wire.CopyReply.KindOneofCase.Start => new CopyFrame(CopyFrameKind.Start)
        {
            Resumes = reply.Start.Resumes,
            Checkpoint = new Position(reply.Start.Checkpoint),
            CheckpointBytes = reply.Start.CheckpointBytes,
            Position = new Position(reply.Start.First),
            To = new Position(reply.Start.To),
        },
        Wire.CopyReply.KindOneofCase.Checkpoint => new CopyFrame(CopyFrameKind.Checkpoint) { Bytes = new ReadOnlySequence<byte>(reply.Checkpoint.Memory) },
        Wire.CopyReply.KindOneofCase.Records => new CopyFrame(CopyFrameKind.Records)
        {
            Position = new Position(reply.Records.Position),
            Bytes = new ReadOnlySequence<byte>(reply.Records.Records.Memory),
        },
        _ => throw new FormatException("a message of a copy is of no known kind"),
    };

    private static ByteString ToWire(Guid id) => ByteString.CopyFrom(id.ToByteArray());

    private static ByteString ToWire(in ReadOnlySequence<byte> bytes) =>
        UnsafeByteOperations.UnsafeWrap(bytes.IsSingleSegment ? bytes.First : bytes.ToArray());

    private static Guid ToGuid(ByteString bytes) => bytes.Length == 16
        ? new Guid(bytes.Span)
        : throw new FormatException("an id in a replication message has not 16 bytes");

    private static ReplicaId ToReplica(ByteString bytes) => new(ToGuid(bytes));

    private static Wire.JournalShape ToWire(EpochTable table)
    {
        var shape = new Wire.JournalShape { End = table.End.Value };
        shape.Epochs.AddRange(table.Starts.Select(
            start => new Wire.EpochStart { Epoch = start.Epoch.Value, Position = start.Position.Value }));
        return shape;
    }

    private static EpochTable ToTable(Wire.JournalShape? shape)
    {
        try
        {
            return shape is null
                ? EpochTable.Empty
                : new EpochTable(
                    shape.Epochs.Select(start => new EpochStart(new Epoch(start.Epoch), new Position(start.Position))),
                    new Position(shape.End));
        }
        catch (ArgumentException exception)
        {
            throw new FormatException("the epochs in a replication message make no sense", exception);
        }
    }
}
