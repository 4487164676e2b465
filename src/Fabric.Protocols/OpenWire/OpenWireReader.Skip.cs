using System.Buffers.Binary;

namespace Fabric.Protocols.OpenWire;

/// <summary>Moving past fields: each method checks what reading would check and returns where the field's bytes stand.</summary>
public ref partial struct OpenWireReader
{
    /// <summary>A string; the slice holds its bytes, or nothing for null.</summary>
    internal Slice SkipString()
    {
        if (!ReadBoolean())
        {
            return default;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(Take(2));
        var slice = new Slice(Position, length);
        ModifiedUtf8.Validate(Take(length));
        return slice;
    }

    /// <summary>A byte array; the slice holds its bytes, or nothing for null.</summary>
    internal Slice SkipBytes()
    {
        if (!ReadBoolean())
        {
            return default;
        }

        var length = ReadLength();
        var slice = new Slice(Position, length);
        Position += length;
        return slice;
    }

    /// <summary>An id or null; the slice starts with the type byte.</summary>
    internal Slice SkipNestedId(DataType type)
    {
        if (!ReadBoolean())
        {
            return default;
        }

        var start = Position;
        ExpectType(type);
        SkipString();
        Take(type switch
        {
            DataType.ProducerId or DataType.ConsumerId => 16,
            DataType.SessionId => 8,
            _ => 0,
        });
        return new Slice(start, Position - start);
    }

    /// <summary>A destination or null; the slice starts with the type byte.</summary>
    internal Slice SkipNestedDestination()
    {
        if (!ReadBoolean())
        {
            return default;
        }

        var start = Position;
        var type = (DataType)ReadByte();
        if (type is < DataType.ActiveMQQueue or > DataType.ActiveMQTempTopic)
        {
            throw new ProtocolException($"a {type} stands where a destination belongs");
        }

        var name = SkipString();
        if (_frame.Slice(name.Offset, name.Length).IndexOfAnyExceptInRange((byte)0, (byte)' ') < 0)
        {
            throw new ProtocolException("a destination has no name");
        }

        return new Slice(start, Position - start);
    }

    /// <summary>A transaction id or null; the slice starts with the type byte.</summary>
    internal Slice SkipNestedTransactionId()
    {
        if (!ReadBoolean())
        {
            return default;
        }

        var start = Position;
        switch ((DataType)ReadByte())
        {
            case DataType.LocalTransactionId:
                ReadLong();
                SkipNestedId(DataType.ConnectionId);
                break;
            case DataType.XATransactionId:
                ReadInt();
                SkipBytes();
                SkipBytes();
                break;
            case var type:
                throw new ProtocolException($"a {type} stands where a transaction id belongs");
        }

        return new Slice(start, Position - start);
    }

    /// <summary>An array of broker ids, or null.</summary>
    internal void SkipBrokerIds()
    {
        if (!ReadBoolean())
        {
            return;
        }

        int count = ReadShort();
        if (count < 0)
        {
            throw new ProtocolException($"an array claims {count} elements");
        }

        for (; count > 0; count--)
        {
            SkipNestedId(DataType.BrokerId);
        }
    }

    internal void ExpectType(DataType expected)
    {
        var type = (DataType)ReadByte();
        if (type != expected)
        {
            throw new ProtocolException($"a {type} stands where a {expected} belongs");
        }
    }
}
