namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Looks a property up in marshalled properties without decoding the others; for the broker, which rarely wants any.
/// </summary>
/// <param name="marshalledProperties">A primitive map; empty for none.</param>
public readonly ref struct PropertiesView(ReadOnlySpan<byte> marshalledProperties)
{
    private readonly ReadOnlySpan<byte> _bytes = marshalledProperties;

    /// <summary>Finds a property by its name in modified UTF-8, which for ASCII names is the plain literal.</summary>
    /// <exception cref="ProtocolException">The bytes are not a map.</exception>
    public bool TryGet(ReadOnlySpan<byte> name, out object? value)
    {
        value = null;
        if (_bytes.IsEmpty)
        {
            return false;
        }

        var reader = new OpenWireReader(_bytes, OpenWireCodec.VersionMax, stackTraceEnabled: false);
        for (var left = PrimitiveMarshaller.ReadCount(ref reader); left > 0; left--)
        {
            var key = reader.Take(PrimitiveMarshaller.ReadUShort(ref reader));
            if (key.SequenceEqual(name))
            {
                value = PrimitiveMarshaller.ReadValue(ref reader, 1);
                return true;
            }

            PrimitiveMarshaller.SkipValue(ref reader, 1);
        }

        return false;
    }

    /// <summary>All properties, decoded.</summary>
    /// <exception cref="ProtocolException">The bytes are not a map.</exception>
    public Dictionary<string, object?> ToDictionary() => PrimitiveMarshaller.ReadMap(_bytes);
}
