using System.Buffers;
using Fabric.Grpc;
using Fabric.Store.Journal;
using Google.Protobuf;
using Wire = Fabric.Replication.Contracts;

namespace Fabric.Replication.Grpc;

/// <summary>
/// <c>FollowReply</c> as a frame of the core. Batches and heartbeats, nearly all of the traffic, are read and written here; the other
/// kinds by the generated class. A frame that was read refers to the transport's bytes.
/// </summary>
internal sealed class FollowFrameMarshaller : GrpcMarshaller<FollowFrame>
{
    private const byte EpochTag = 1 << 3;
    private const byte CommittedTag = 2 << 3;
    private const byte EverywhereTag = 7 << 3;
    private const byte AcceptedTag = (3 << 3) | RawBatchCodec.WireFormats.LengthDelimited;
    private const byte RefusedTag = (4 << 3) | RawBatchCodec.WireFormats.LengthDelimited;
    private const byte BatchTag = (5 << 3) | RawBatchCodec.WireFormats.LengthDelimited;
    private const byte HandOverTag = (6 << 3) | RawBatchCodec.WireFormats.LengthDelimited;

    public override int SizeOf(FollowFrame message)
    {
        if (!IsRaw(message.Kind))
        {
            return message.ToWire().CalculateSize();
        }

        var size = SizeOf(message.Epoch.Value) + SizeOf(message.Committed.Value) + SizeOf(message.Everywhere.Value);
        if (message.Kind == FollowFrameKind.Heartbeat)
        {
            return size;
        }

        var batch = RawBatchCodec.SizeOf(message.Position.Value, message.Records);
        return size + 1 + CodedOutputStream.ComputeLengthSize(batch) + batch;
    }

    public override void Write(FollowFrame message, IBufferWriter<byte> output)
    {
        if (!IsRaw(message.Kind))
        {
            message.ToWire().WriteTo(output);
            return;
        }

        Write(output, EpochTag, message.Epoch.Value);
        Write(output, CommittedTag, message.Committed.Value);
        Write(output, EverywhereTag, message.Everywhere.Value);
        if (message.Kind == FollowFrameKind.Batch)
        {
            RawBatchCodec.WriteVarint(output, BatchTag, (ulong)RawBatchCodec.SizeOf(message.Position.Value, message.Records));
            RawBatchCodec.Write(message.Position.Value, message.Records, output);
        }
    }

    public override FollowFrame Read(in ReadOnlySequence<byte> bytes)
    {
        var reader = new SequenceReader<byte>(bytes);
        var (epoch, committed, everywhere) = (0L, 0L, 0L);
        (long Position, ReadOnlySequence<byte> Records)? batch = null;
        while (!reader.End)
        {
            var tag = RawBatchCodec.ReadVarint(ref reader);
            switch (tag)
            {
                case EpochTag:
                    epoch = (long)RawBatchCodec.ReadVarint(ref reader);
                    break;
                case CommittedTag:
                    committed = (long)RawBatchCodec.ReadVarint(ref reader);
                    break;
                case EverywhereTag:
                    everywhere = (long)RawBatchCodec.ReadVarint(ref reader);
                    break;
                case BatchTag:
                    batch = RawBatchCodec.Read(RawBatchCodec.ReadBytes(ref reader));
                    break;
                case AcceptedTag or RefusedTag or HandOverTag:
                    return ReadGenerated(bytes);
                default:
                    RawBatchCodec.Skip(ref reader, tag);
                    break;
            }
        }

        return new FollowFrame(
            batch is null ? FollowFrameKind.Heartbeat : FollowFrameKind.Batch, new Epoch(epoch), new Position(committed))
        {
            Everywhere = new Position(everywhere),
            Position = new Position(batch?.Position ?? 0),
            Records = batch?.Records ?? default,
        };
    }

    private static bool IsRaw(FollowFrameKind kind) => kind is FollowFrameKind.Batch or FollowFrameKind.Heartbeat;

    private static int SizeOf(long value) => value == 0 ? 0 : 1 + CodedOutputStream.ComputeInt64Size(value);

    private static void Write(IBufferWriter<byte> output, byte tag, long value)
    {
        if (value != 0)
        {
            RawBatchCodec.WriteVarint(output, tag, (ulong)value);
        }
    }

    private static FollowFrame ReadGenerated(in ReadOnlySequence<byte> bytes)
    {
        try
        {
            return Wire.FollowReply.Parser.ParseFrom(bytes).ToCore();
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new FormatException(exception.Message, exception);
        }
    }
}

/// <summary><c>FetchReply</c> as a chunk. A chunk that was read refers to the transport's bytes.</summary>
internal sealed class JournalChunkMarshaller : GrpcMarshaller<JournalChunk>
{
    public override int SizeOf(JournalChunk message) => RawBatchCodec.SizeOf(message.Position.Value, message.Records);

    public override void Write(JournalChunk message, IBufferWriter<byte> output) =>
        RawBatchCodec.Write(message.Position.Value, message.Records, output);

    public override JournalChunk Read(in ReadOnlySequence<byte> bytes)
    {
        var (position, records) = RawBatchCodec.Read(bytes);
        return new JournalChunk(new Position(position), records);
    }
}
