namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>
/// The first frame of each side: always loose, its layout the same in all versions (reference §1.3). What it says is
/// read and written by <see cref="WireFormat"/>.
/// </summary>
public sealed class WireFormatInfo : IDataStructure
{
    private const int MagicBytes = 8;

    /// <summary>What every OpenWire connection starts with.</summary>
    public static ReadOnlySpan<byte> ExpectedMagic => "ActiveMQ"u8;

    public DataType DataType => DataType.WireFormatInfo;

    /// <summary>Eight bytes.</summary>
    public byte[] Magic { get; set; } = ExpectedMagic.ToArray();

    public int Version { get; set; }

    /// <summary>A primitive map.</summary>
    public byte[]? MarshalledProperties { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteRaw(Magic.AsSpan(0, MagicBytes));
        writer.WriteInt(Version);
        writer.WriteBytes(MarshalledProperties);
    }

    internal static WireFormatInfo Read(ref OpenWireReader reader) => new()
    {
        Magic = reader.ReadRaw(MagicBytes),
        Version = reader.ReadInt(),
        MarshalledProperties = reader.ReadBytes(),
    };
}
