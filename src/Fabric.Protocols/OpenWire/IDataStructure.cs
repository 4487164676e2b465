namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Anything with a type byte: commands, ids, destinations. Each type reads and writes its own fields, in wire order, with
/// the version conditions inline; its <c>Read</c> is listed in <see cref="OpenWireReader"/>.
/// </summary>
public interface IDataStructure
{
    /// <summary>The type byte that stands in front of the fields.</summary>
    DataType DataType { get; }

    /// <summary>Writes the fields, without the type byte.</summary>
    void WriteFields(OpenWireWriter writer);
}

/// <summary>A data structure that starts with a command id and the wish for a response.</summary>
public abstract class Command : IDataStructure
{
    /// <summary>Number given by the sender; a response repeats it as its correlation id. 0 is legal for what needs no answer.</summary>
    public int CommandId { get; set; }

    /// <summary>True obliges the receiver to send exactly one response, false forbids it.</summary>
    public bool ResponseRequired { get; set; }

    public abstract DataType DataType { get; }

    /// <inheritdoc/>
    public virtual void WriteFields(OpenWireWriter writer)
    {
        writer.WriteInt(CommandId);
        writer.WriteBoolean(ResponseRequired);
    }
}
