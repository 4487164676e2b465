using System.Buffers.Binary;

namespace Fabric.Grpc.Http2;

/// <summary>RFC 9113, section 6.</summary>
internal enum Http2FrameType : byte
{
    Data = 0,
    Headers = 1,
    Priority = 2,
    ResetStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

/// <summary>What the bits mean depends on the type of the frame.</summary>
[Flags]
internal enum Http2Flags : byte
{
    None = 0,
    EndStream = 0x1,
    EndHeaders = 0x4,
    Padded = 0x8,
    Priority = 0x20,
}

/// <summary>RFC 9113, section 7.</summary>
internal enum Http2Error : uint
{
    None = 0x0,
    Protocol = 0x1,
    Internal = 0x2,
    FlowControl = 0x3,
    SettingsTimeout = 0x4,
    StreamClosed = 0x5,
    FrameSize = 0x6,
    RefusedStream = 0x7,
    Cancel = 0x8,
    Compression = 0x9,
    Connect = 0xa,
    EnhanceYourCalm = 0xb,
    InadequateSecurity = 0xc,
    Http11Required = 0xd,
}

/// <summary>RFC 9113, section 6.5.2.</summary>
internal enum Http2Setting : ushort
{
    HeaderTableSize = 1,
    EnablePush = 2,
    MaxConcurrentStreams = 3,
    InitialWindowSize = 4,
    MaxFrameSize = 5,
    MaxHeaderListSize = 6,
}

/// <summary>
/// The first bytes of every frame.
/// <code>
/// +-----------+------+-------+-----------+------------------+
/// | length, 3 | type | flags | stream, 4 | payload, length  |
/// +-----------+------+-------+-----------+------------------+
/// </code>
/// </summary>
internal readonly record struct Http2FrameHeader(int Length, Http2FrameType Type, Http2Flags Flags, int StreamId)
{
    public const int Bytes = 9;

    /// <summary>In SETTINGS and PING the bit that elsewhere ends a stream.</summary>
    public const Http2Flags Acknowledgement = Http2Flags.EndStream;

    /// <summary>The first bit of a stream's id is reserved.</summary>
    public const int StreamIdMask = int.MaxValue;

    public bool Has(Http2Flags flag) => (Flags & flag) != 0;

    public static Http2FrameHeader Read(ReadOnlySpan<byte> bytes) => new(
        (bytes[0] << 16) | (bytes[1] << 8) | bytes[2],
        (Http2FrameType)bytes[3],
        (Http2Flags)bytes[4],
        (int)(BinaryPrimitives.ReadUInt32BigEndian(bytes[5..]) & StreamIdMask));

    public void Write(Span<byte> bytes)
    {
        bytes[0] = (byte)(Length >> 16);
        bytes[1] = (byte)(Length >> 8);
        bytes[2] = (byte)Length;
        bytes[3] = (byte)Type;
        bytes[4] = (byte)Flags;
        BinaryPrimitives.WriteInt32BigEndian(bytes[5..], StreamId);
    }
}

/// <summary>The peer broke the protocol in a way that ends the connection.</summary>
internal sealed class Http2ConnectionException(Http2Error error, string message) : IOException(message)
{
    public Http2Error Error { get; } = error;
}

/// <summary>A stream was reset, by the peer or because the peer broke the protocol in it.</summary>
internal sealed class Http2StreamException(Http2Error error, string message) : IOException(message)
{
    public Http2Error Error { get; } = error;
}
