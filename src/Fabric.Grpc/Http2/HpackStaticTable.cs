namespace Fabric.Grpc.Http2;

/// <summary>The fields that both sides know beforehand: RFC 7541, appendix A. Indexes begin with 1.</summary>
internal static class HpackStaticTable
{
    private static readonly HeaderField[] Fields =
    [
        new(":authority", ""),
        new(":method", "GET"),
        new(":method", "POST"),
        new(":path", "/"),
        new(":path", "/index.html"),
        new(":scheme", "http"),
        new(":scheme", "https"),
        new(":status", "200"),
        new(":status", "204"),
        new(":status", "206"),
        new(":status", "304"),
        new(":status", "400"),
        new(":status", "404"),
        new(":status", "500"),
        new("accept-charset", ""),
        new("accept-encoding", "gzip, deflate"),
        new("accept-language", ""),
        new("accept-ranges", ""),
        new("accept", ""),
        new("access-control-allow-origin", ""),
        new("age", ""),
        new("allow", ""),
        new("authorization", ""),
        new("cache-control", ""),
        new("content-disposition", ""),
        new("content-encoding", ""),
        new("content-language", ""),
        new("content-length", ""),
        new("content-location", ""),
        new("content-range", ""),
        new("content-type", ""),
        new("cookie", ""),
        new("date", ""),
        new("etag", ""),
        new("expect", ""),
        new("expires", ""),
        new("from", ""),
        new("host", ""),
        new("if-match", ""),
        new("if-modified-since", ""),
        new("if-none-match", ""),
        new("if-range", ""),
        new("if-unmodified-since", ""),
        new("last-modified", ""),
        new("link", ""),
        new("location", ""),
        new("max-forwards", ""),
        new("proxy-authenticate", ""),
        new("proxy-authorization", ""),
        new("range", ""),
        new("referer", ""),
        new("refresh", ""),
        new("retry-after", ""),
        new("server", ""),
        new("set-cookie", ""),
        new("strict-transport-security", ""),
        new("transfer-encoding", ""),
        new("user-agent", ""),
        new("vary", ""),
        new("via", ""),
        new("www-authenticate", ""),
    ];

    private static readonly Dictionary<HeaderField, int> Whole = Fields.Index().ToDictionary(entry => entry.Item, entry => entry.Index + 1);

    private static readonly Dictionary<string, int> Names = Fields.Index()
        .GroupBy(entry => entry.Item.Name, StringComparer.Ordinal)
        .ToDictionary(group => group.Key, group => group.First().Index + 1, StringComparer.Ordinal);

    public static int Count => Fields.Length;

    public static HeaderField Get(int index) => Fields[index - 1];

    /// <summary>Index of the field, or 0.</summary>
    public static int IndexOf(HeaderField field) => Whole.GetValueOrDefault(field);

    /// <summary>Index of a field of the name, or 0.</summary>
    public static int IndexOf(string name) => Names.GetValueOrDefault(name);
}
