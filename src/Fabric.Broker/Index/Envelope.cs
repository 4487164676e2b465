using System.Buffers.Binary;
using Fabric.Store;

namespace Fabric.Broker.Index;

/// <summary>
/// The neutral front of a Message record; the payload follows it. Little endian.
/// <code>
/// 0 destination i32 | 4 flags u8 | 5 priority u8 | 6 encoding u8 | 7 zero u8 | 8 sequence i64 | 16 expiration i64
/// 24 timestamp i64 | 32 accepted i64 | 40 origin u64 | 48 producer length u16 | 50 producer id, UTF-8 | payload …
/// </code>
/// </summary>
internal readonly ref struct Envelope
{
    public const int FixedBytes = 50;
    public const int ProducerIdBytesMax = ushort.MaxValue;

    /// <summary>A copy in the dead letter queue: its sequence says nothing about what its producer had stored.</summary>
    public const byte DeadLettered = 1;

    private readonly ReadOnlySpan<byte> _bytes;

    private Envelope(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    public int DestinationId => BinaryPrimitives.ReadInt32LittleEndian(_bytes);

    public byte Flags => _bytes[4];

    public byte Priority => _bytes[5];

    public byte Encoding => _bytes[6];

    public long ProducerSequence => BinaryPrimitives.ReadInt64LittleEndian(_bytes[8..]);

    public long Expiration => BinaryPrimitives.ReadInt64LittleEndian(_bytes[16..]);

    public long Timestamp => BinaryPrimitives.ReadInt64LittleEndian(_bytes[24..]);

    public long AcceptedAt => BinaryPrimitives.ReadInt64LittleEndian(_bytes[32..]);

    public ulong Origin => BinaryPrimitives.ReadUInt64LittleEndian(_bytes[40..]);

    public ReadOnlySpan<byte> ProducerId => _bytes[FixedBytes..];

    public int Length => _bytes.Length;

    /// <summary>Finds the envelope at the start of a record's body.</summary>
    /// <exception cref="StoreException">The body is too short for it.</exception>
    public static Envelope Read(ReadOnlySpan<byte> body)
    {
        if (body.Length < FixedBytes)
        {
            throw new StoreException($"a message record of {body.Length} bytes has no envelope");
        }

        var length = FixedBytes + BinaryPrimitives.ReadUInt16LittleEndian(body[48..]);
        return length <= body.Length
            ? new Envelope(body[..length])
            : throw new StoreException($"a message record of {body.Length} bytes has an envelope of {length}");
    }

    public static int GetLength(string producerId) => FixedBytes + System.Text.Encoding.UTF8.GetByteCount(producerId);

    /// <summary>Writes an envelope into a span of exactly its length.</summary>
    public static void Write(Span<byte> output, in EnvelopeFields fields, string producerId)
    {
        WriteFixed(output, fields, output.Length - FixedBytes);
        System.Text.Encoding.UTF8.GetBytes(producerId, output[FixedBytes..]);
    }

    /// <summary>Writes an envelope with a producer id that is encoded already.</summary>
    public static void Write(Span<byte> output, in EnvelopeFields fields, ReadOnlySpan<byte> producerId)
    {
        WriteFixed(output, fields, producerId.Length);
        producerId.CopyTo(output[FixedBytes..]);
    }

    private static void WriteFixed(Span<byte> output, in EnvelopeFields fields, int producerIdBytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output, fields.DestinationId);
        output[4] = fields.Flags;
        output[5] = fields.Priority;
        output[6] = fields.Encoding;
        output[7] = 0;
        BinaryPrimitives.WriteInt64LittleEndian(output[8..], fields.ProducerSequence);
        BinaryPrimitives.WriteInt64LittleEndian(output[16..], fields.Expiration);
        BinaryPrimitives.WriteInt64LittleEndian(output[24..], fields.Timestamp);
        BinaryPrimitives.WriteInt64LittleEndian(output[32..], fields.AcceptedAt);
        BinaryPrimitives.WriteUInt64LittleEndian(output[40..], fields.Origin);
        BinaryPrimitives.WriteUInt16LittleEndian(output[48..], checked((ushort)producerIdBytes));
    }
}

/// <summary>What an envelope says, but for the producer id.</summary>
internal readonly record struct EnvelopeFields
{
    public int DestinationId { get; init; }

    public byte Flags { get; init; }

    public byte Priority { get; init; }

    public byte Encoding { get; init; }

    public long ProducerSequence { get; init; }

    public long Expiration { get; init; }

    public long Timestamp { get; init; }

    /// <summary>Milliseconds since 1970, when the broker took it.</summary>
    public long AcceptedAt { get; init; }

    /// <summary>Hash of the connection that published it, for consumers that want no messages of their own.</summary>
    public ulong Origin { get; init; }
}
