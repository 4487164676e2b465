using System.Buffers.Binary;
using System.Text.Json;
using Fabric.Protocols.OpenWire;

namespace Fabric.Client.Messages;

/// <summary>What kind of message a body becomes, and its content on the wire.</summary>
/// <param name="Kind">One of the seven message types.</param>
/// <param name="Content">The encoded body; empty together with <paramref name="HasContent"/> false for none.</param>
/// <param name="HasContent">False for the null content of empty maps and null texts.</param>
/// <param name="IsBorrowed">True when the content is the caller's own memory.</param>
internal readonly record struct OutgoingBody(DataType Kind, ReadOnlyMemory<byte> Content, bool HasContent, bool IsBorrowed)
{
    private const int TextLengthBytes = 4;

    /// <exception cref="ArgumentException">A map holds a value that has no form on the wire.</exception>
    /// <exception cref="NotSupportedException">The serializer cannot write the type.</exception>
    public static OutgoingBody Create<T>(T body, JsonSerializerOptions json) => body switch
    {
        string text => OfText(text),
        byte[] bytes => new OutgoingBody(DataType.ActiveMQBytesMessage, bytes, HasContent: true, IsBorrowed: true),
        ReadOnlyMemory<byte> bytes => new OutgoingBody(DataType.ActiveMQBytesMessage, bytes, HasContent: true, IsBorrowed: true),
        Memory<byte> bytes => new OutgoingBody(DataType.ActiveMQBytesMessage, bytes, HasContent: true, IsBorrowed: true),
        IReadOnlyDictionary<string, object?> map => OfContent(DataType.ActiveMQMapMessage, MessageBody.WriteMap(map)),
        IDictionary<string, object?> map => OfContent(
            DataType.ActiveMQMapMessage, MessageBody.WriteMap(new Dictionary<string, object?>(map))),
        null when typeof(T) == typeof(string) => new OutgoingBody(DataType.ActiveMQTextMessage, default, false, false),
        null when typeof(T) == typeof(object) => new OutgoingBody(DataType.ActiveMQMessage, default, false, false),
        _ => OfText(JsonSerializer.Serialize(body, json)),
    };

    /// <summary>The same body in memory that is nobody else's.</summary>
    public OutgoingBody ToOwned() => IsBorrowed ? this with { Content = Content.ToArray(), IsBorrowed = false } : this;

    private static OutgoingBody OfText(string text)
    {
        var count = checked((int)ModifiedUtf8.GetByteCount(text));
        var content = GC.AllocateUninitializedArray<byte>(TextLengthBytes + count);
        BinaryPrimitives.WriteInt32BigEndian(content, count);
        ModifiedUtf8.Encode(text, content.AsSpan(TextLengthBytes));
        return new OutgoingBody(DataType.ActiveMQTextMessage, content, HasContent: true, IsBorrowed: false);
    }

    private static OutgoingBody OfContent(DataType kind, byte[]? content) =>
        new(kind, content, HasContent: content is not null, IsBorrowed: false);
}
