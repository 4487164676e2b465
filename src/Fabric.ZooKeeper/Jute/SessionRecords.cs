namespace Fabric.ZooKeeper.Jute;

/// <summary>First frame of a client; it has no header (reference §1.3).</summary>
/// <param name="ProtocolVersion">0.</param>
/// <param name="LastZxidSeen">Highest zxid that this client has seen in a reply.</param>
/// <param name="TimeOut">Wanted session timeout in milliseconds.</param>
/// <param name="SessionId">0 asks for a new session.</param>
/// <param name="Password">16 bytes; null or empty is allowed for a new session.</param>
/// <param name="ReadOnly">Whether a read-only server will do; null when the byte is absent, as clients of 3.3 send it.</param>
internal sealed record ConnectRequest(
    int ProtocolVersion, long LastZxidSeen, int TimeOut, long SessionId, byte[]? Password, bool? ReadOnly)
    : IJuteRecord<ConnectRequest>
{
    public static ConnectRequest Read(ref JuteReader reader) => new(
        reader.ReadInt32(),
        reader.ReadInt64(),
        reader.ReadInt32(),
        reader.ReadInt64(),
        reader.ReadBuffer(),
        reader.Remaining > 0 ? reader.ReadBoolean() : null);

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32(ProtocolVersion);
        writer.WriteInt64(LastZxidSeen);
        writer.WriteInt32(TimeOut);
        writer.WriteInt64(SessionId);
        writer.WriteBuffer(Password);
        if (ReadOnly is { } readOnly)
        {
            writer.WriteBoolean(readOnly);
        }
    }
}

/// <summary>Answer to <see cref="ConnectRequest"/>; it has no header.</summary>
/// <param name="ProtocolVersion">0.</param>
/// <param name="TimeOut">Granted session timeout in milliseconds; 0 says that the session is over.</param>
/// <param name="SessionId">Id of the session; may be negative.</param>
/// <param name="Password">16 bytes.</param>
/// <param name="ReadOnly">Whether the server is read-only; null when the byte is absent.</param>
internal sealed record ConnectResponse(int ProtocolVersion, int TimeOut, long SessionId, byte[]? Password, bool? ReadOnly)
    : IJuteRecord<ConnectResponse>
{
    /// <summary>A first frame shorter than this is not an answer to a connect (reference §1.3).</summary>
    public const int EncodedLengthMin = 36;

    public static ConnectResponse Read(ref JuteReader reader) => new(
        reader.ReadInt32(),
        reader.ReadInt32(),
        reader.ReadInt64(),
        reader.ReadBuffer(),
        reader.Remaining > 0 ? reader.ReadBoolean() : null);

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32(ProtocolVersion);
        writer.WriteInt32(TimeOut);
        writer.WriteInt64(SessionId);
        writer.WriteBuffer(Password);
        if (ReadOnly is { } readOnly)
        {
            writer.WriteBoolean(readOnly);
        }
    }
}

/// <summary>Before every request but the first.</summary>
internal readonly record struct RequestHeader(int Xid, OpCode Type) : IJuteRecord<RequestHeader>
{
    public static RequestHeader Read(ref JuteReader reader) => new(reader.ReadInt32(), (OpCode)reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32(Xid);
        writer.WriteInt32((int)Type);
    }
}

/// <summary>Before every reply and event. No record follows when <paramref name="Error"/> is not Ok.</summary>
internal readonly record struct ReplyHeader(int Xid, long Zxid, ZooKeeperError Error) : IJuteRecord<ReplyHeader>
{
    public static ReplyHeader Read(ref JuteReader reader) =>
        new(reader.ReadInt32(), reader.ReadInt64(), (ZooKeeperError)reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32(Xid);
        writer.WriteInt64(Zxid);
        writer.WriteInt32((int)Error);
    }
}

/// <summary>Adds an identity to the connection.</summary>
internal sealed record AuthPacket(int Type, string Scheme, byte[]? Auth) : IJuteRecord<AuthPacket>
{
    public static AuthPacket Read(ref JuteReader reader) =>
        new(reader.ReadInt32(), reader.ReadRequiredString(), reader.ReadBuffer());

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32(Type);
        writer.WriteString(Scheme);
        writer.WriteBuffer(Auth);
    }
}

/// <summary>A step of a SASL exchange, in both directions.</summary>
internal sealed record SaslToken(byte[]? Token) : IJuteRecord<SaslToken>
{
    public static SaslToken Read(ref JuteReader reader) => new(reader.ReadBuffer());

    public void Write(JuteWriter writer) => writer.WriteBuffer(Token);
}

internal readonly record struct ClientInfo(string AuthScheme, string User);

internal sealed record WhoAmIResponse(IReadOnlyList<ClientInfo> Clients) : IJuteRecord<WhoAmIResponse>
{
    private const int ElementLengthMin = 8;

    public static WhoAmIResponse Read(ref JuteReader reader)
    {
        var clients = new ClientInfo[Math.Max(reader.ReadCount(ElementLengthMin), 0)];
        for (var i = 0; i < clients.Length; i++)
        {
            clients[i] = new ClientInfo(reader.ReadRequiredString(), reader.ReadRequiredString());
        }

        return new WhoAmIResponse(clients);
    }

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32(Clients.Count);
        foreach (var client in Clients)
        {
            writer.WriteString(client.AuthScheme);
            writer.WriteString(client.User);
        }
    }
}
