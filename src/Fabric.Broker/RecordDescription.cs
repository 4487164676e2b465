using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Fabric.Broker.Index;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Broker;

/// <summary>The broker's records in words, for people who look into a journal. Never a message's content.</summary>
public static class RecordDescription
{
    /// <summary>The name of a record's kind, as in RECORDS.md; null for kinds that are not the broker's.</summary>
    public static string? NameOf(byte kind) => kind switch
    {
        RecordKind.DestinationAdded => "DestinationAdded",
        RecordKind.DestinationRemoved => "DestinationRemoved",
        RecordKind.Message => "Message",
        RecordKind.Acknowledged => "Acknowledged",
        RecordKind.TransactionCommitted => "TransactionCommitted",
        RecordKind.DeliveryHorizon => "DeliveryHorizon",
        RecordKind.Relocated => "Relocated",
        _ => null,
    };

    /// <summary>What it says, in one line; empty when this version does not know.</summary>
    public static string Describe(in JournalRecord record)
    {
        try
        {
            return record.Kind switch
            {
                RecordKind.DestinationAdded => $"queue {Number(record.Body)} is {Encoding.UTF8.GetString(record.Body[4..])}",
                RecordKind.DestinationRemoved => $"queue {Number(record.Body)}",
                RecordKind.Message => DescribeMessage(record.Body) + InTransaction(record.Flags),
                RecordKind.Acknowledged => DescribeAcknowledged(record.Body) + InTransaction(record.Flags),
                RecordKind.TransactionCommitted => $"{Number(record.Body)} records",
                RecordKind.DeliveryHorizon => string.Create(
                    CultureInfo.InvariantCulture, $"queue {Number(record.Body)}, deliveries may go up to {LastLong(record.Body)}"),
                RecordKind.Relocated => string.Create(
                    CultureInfo.InvariantCulture, $"{DescribeMessage(record.Body[..^BrokerIndex.RelocatedBytes])}, a copy of the message at {LastLong(record.Body)}"),
                _ => "",
            };
        }
        catch (Exception exception) when (exception is StoreException or ArgumentException)
        {
            return $"cannot be read: {exception.Message}";
        }
    }

    private static int Number(ReadOnlySpan<byte> body) => BinaryPrimitives.ReadInt32LittleEndian(body);

    private static long LastLong(ReadOnlySpan<byte> body) => BinaryPrimitives.ReadInt64LittleEndian(body[^8..]);

    private static string InTransaction(byte flags) => flags == RecordKind.InTransaction ? ", in a transaction" : "";

    private static string DescribeMessage(ReadOnlySpan<byte> body)
    {
        var envelope = Envelope.Read(body);
        var copy = (envelope.Flags & Envelope.DeadLettered) != 0 ? ", a dead letter" : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"queue {envelope.DestinationId}, {body.Length - envelope.Length} bytes from {Encoding.UTF8.GetString(envelope.ProducerId)}:{envelope.ProducerSequence}{copy}");
    }

    private static string DescribeAcknowledged(ReadOnlySpan<byte> body)
    {
        var reader = new AcknowledgedRecord.Reader(body);
        var (count, first, last, queue) = (0, 0L, 0L, 0);
        while (reader.Read())
        {
            (first, last) = (count == 0 ? reader.Position : first, reader.Position);
            queue = reader.QueueId;
            count++;
        }

        return count == 1
            ? string.Create(CultureInfo.InvariantCulture, $"queue {queue}, the message at {first}")
            : string.Create(CultureInfo.InvariantCulture, $"queue {queue}, {count} messages from {first} to {last}");
    }
}
