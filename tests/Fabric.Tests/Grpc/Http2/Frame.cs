using System.Buffers.Binary;

namespace Fabric.Tests.Grpc.Http2;

internal enum FrameType
{
    Data = 0,
    Headers = 1,
    Priority = 2,
    RstStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
    Unknown = 0x42,
}

[Flags]
internal enum FrameFlags
{
    None = 0,
    EndStream = 1,
    Ack = EndStream,
    EndHeaders = 4,
    Padded = 8,
    Priority = 0x20,
}

internal enum ErrorCode
{
    NoError = 0,
    ProtocolError = 1,
    InternalError = 2,
    FlowControlError = 3,
    SettingsTimeout = 4,
    StreamClosed = 5,
    FrameSizeError = 6,
    RefusedStream = 7,
    Cancel = 8,
    CompressionError = 9,
    ConnectError = 10,
    EnhanceYourCalm = 11,
    InadequateSecurity = 12,
    Http11Required = 13,
}

internal enum Setting
{
    HeaderTableSize = 1,
    EnablePush = 2,
    MaxConcurrentStreams = 3,
    InitialWindowSize = 4,
    MaxFrameSize = 5,
    MaxHeaderListSize = 6,
    Unknown = 0x4242,
}

/// <summary>A frame of RFC 9113, section 4.1; the payload is as it was on the wire, padding and all.</summary>
internal sealed record Frame(FrameType Type, FrameFlags Flags, int Stream, byte[] Payload)
{
    public const int HeaderBytes = 9;

    public bool EndsStream => Type is FrameType.Data or FrameType.Headers && Flags.HasFlag(FrameFlags.EndStream);

    public bool IsAck => Type is FrameType.Settings or FrameType.Ping && Flags.HasFlag(FrameFlags.Ack);

    /// <summary>Of RST_STREAM and GOAWAY.</summary>
    public ErrorCode Code => (ErrorCode)BinaryPrimitives.ReadInt32BigEndian(Payload.AsSpan(Type == FrameType.GoAway ? 4 : 0));

    /// <summary>Of SETTINGS.</summary>
    public IEnumerable<(Setting Name, uint Value)> Settings => Payload.Chunk(6).Select(
        item => ((Setting)BinaryPrimitives.ReadUInt16BigEndian(item), BinaryPrimitives.ReadUInt32BigEndian(item.AsSpan(2))));

    public static byte[] Encode(FrameType type, FrameFlags flags, int stream, params byte[] payload) =>
        [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, (byte)type, (byte)flags, .. Number(stream), .. payload];

    public static byte[] EncodeSettings(params (Setting Name, uint Value)[] settings) => Encode(
        FrameType.Settings,
        FrameFlags.None,
        0,
        [.. settings.SelectMany(item => (byte[])[(byte)((int)item.Name >> 8), (byte)item.Name, .. Number((int)item.Value)])]);

    public static byte[] EncodeReset(int stream, ErrorCode code) => Encode(FrameType.RstStream, FrameFlags.None, stream, Number((int)code));

    public static byte[] EncodeWindowUpdate(int stream, int increment) =>
        Encode(FrameType.WindowUpdate, FrameFlags.None, stream, Number(increment));

    public static byte[] EncodeGoAway(int lastStream, ErrorCode code) =>
        Encode(FrameType.GoAway, FrameFlags.None, 0, [.. Number(lastStream), .. Number((int)code)]);

    public static byte[] Number(int value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];

    public override string ToString() => $"{Type} {Flags} on {Stream}, {Payload.Length} bytes";
}
