namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>The command succeeded; the base of all answers.</summary>
public class Response : Command
{
    public override DataType DataType => DataType.Response;

    /// <summary>The id of the command that is answered.</summary>
    public int CorrelationId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteInt(CorrelationId);
    }

    internal static Response Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        CorrelationId = reader.ReadInt(),
    };
}

/// <summary>The command failed.</summary>
public sealed class ExceptionResponse : Response
{
    public override DataType DataType => DataType.ExceptionResponse;

    public BrokerError? Exception { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteException(Exception);
    }

    internal static new ExceptionResponse Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        CorrelationId = reader.ReadInt(),
        Exception = reader.ReadException(),
    };
}

/// <summary>Defined, never sent by ActiveMQ.</summary>
public sealed class DataResponse : Response
{
    public override DataType DataType => DataType.DataResponse;

    public IDataStructure? Data { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(Data);
    }

    internal static new DataResponse Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        CorrelationId = reader.ReadInt(),
        Data = reader.ReadNested<IDataStructure>(),
    };
}

/// <summary>Answers the recovery of XA transactions.</summary>
public sealed class DataArrayResponse : Response
{
    public override DataType DataType => DataType.DataArrayResponse;

    public IDataStructure?[]? Data { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteArray(Data);
    }

    internal static new DataArrayResponse Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        CorrelationId = reader.ReadInt(),
        Data = reader.ReadArray<IDataStructure>(),
    };
}

/// <summary>Answers the preparation of an XA transaction.</summary>
public sealed class IntegerResponse : Response
{
    public override DataType DataType => DataType.IntegerResponse;

    public int Result { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteInt(Result);
    }

    internal static new IntegerResponse Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        CorrelationId = reader.ReadInt(),
        Result = reader.ReadInt(),
    };
}
