namespace Fabric.Grpc.Http2;

/// <summary>One line of a header block. Names are in lower case; text is one character per byte.</summary>
internal readonly record struct HeaderField(string Name, string Value)
{
    /// <summary>What each field counts for on top of its text (RFC 7541, section 4.1).</summary>
    private const int OverheadBytes = 32;

    public int TableBytes => Name.Length + Value.Length + OverheadBytes;
}
