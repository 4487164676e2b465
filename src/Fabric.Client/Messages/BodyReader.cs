using System.Text;
using System.Text.Json;
using Fabric.Client.Consumers;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;

namespace Fabric.Client.Messages;

/// <summary>Turns the content of a received message into what the application asked for.</summary>
internal static class BodyReader
{
    public static T Read<T>(Incoming message, JsonSerializerOptions json)
    {
        try
        {
            var content = message.ReadContent();
            if (typeof(T) == typeof(string))
            {
                return (T)(object)ReadString(message, content)!;
            }

            if (typeof(T) == typeof(byte[]))
            {
                return (T)(object)ReadBytes(message, content).ToArray();
            }

            if (typeof(T) == typeof(ReadOnlyMemory<byte>))
            {
                return (T)(object)ReadBytes(message, content);
            }

            if (typeof(T) == typeof(object))
            {
                return (T)ReadNatural(message, content)!;
            }

            if (typeof(T).IsAssignableFrom(typeof(Dictionary<string, object?>)))
            {
                return message.Kind == DataType.ActiveMQMapMessage
                    ? (T)(object)MessageBody.ReadMap(content.Span)
                    : throw Mismatch<T>(message);
            }

            return ReadJson<T>(message, content, json);
        }
        catch (Exception exception) when (exception is ProtocolException or JsonException or NotSupportedException)
        {
            throw new MessageFormatException(
                $"the body of message {message.Id} is no {typeof(T).Name}: {exception.Message}", exception);
        }
    }

    private static string? ReadString(Incoming message, ReadOnlyMemory<byte> content) => message.Kind switch
    {
        DataType.ActiveMQTextMessage => MessageBody.ReadText(content.Span),
        DataType.ActiveMQBytesMessage => Encoding.UTF8.GetString(content.Span),
        DataType.ActiveMQMessage => null,
        _ => throw Mismatch<string>(message),
    };

    private static ReadOnlyMemory<byte> ReadBytes(Incoming message, ReadOnlyMemory<byte> content) =>
        message.Kind == DataType.ActiveMQTextMessage
            ? Encoding.UTF8.GetBytes(MessageBody.ReadText(content.Span) ?? "")
            : content;

    private static object? ReadNatural(Incoming message, ReadOnlyMemory<byte> content) => message.Kind switch
    {
        DataType.ActiveMQMessage => null,
        DataType.ActiveMQTextMessage => MessageBody.ReadText(content.Span),
        DataType.ActiveMQMapMessage => MessageBody.ReadMap(content.Span),
        DataType.ActiveMQStreamMessage => MessageBody.ReadStream(content.Span),
        _ => content.ToArray(),
    };

    private static T ReadJson<T>(Incoming message, ReadOnlyMemory<byte> content, JsonSerializerOptions json) => message.Kind switch
    {
        DataType.ActiveMQTextMessage => JsonSerializer.Deserialize<T>(MessageBody.ReadText(content.Span) ?? "null", json)!,
        DataType.ActiveMQBytesMessage => JsonSerializer.Deserialize<T>(content.Span, json)!,
        _ => throw Mismatch<T>(message),
    };

    private static MessageFormatException Mismatch<T>(Incoming message) =>
        new($"message {message.Id} is a {message.Kind}, which cannot be read as {typeof(T).Name}");
}
