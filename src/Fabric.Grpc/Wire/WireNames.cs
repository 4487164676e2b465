namespace Fabric.Grpc.Wire;

/// <summary>Names of the gRPC protocol over HTTP/2.</summary>
internal static class WireNames
{
    public const string ContentType = "application/grpc";
    public const string Timeout = "grpc-timeout";
    public const string Encoding = "grpc-encoding";
    public const string AcceptEncoding = "grpc-accept-encoding";
    public const string Identity = "identity";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";

    private static readonly HashSet<string> Transport =
        ["te", "content-type", "content-length", "host", "connection", "transfer-encoding", "trailer", "date", "server"];

    /// <summary>Whether a header (in lower case) belongs to the protocol and not to the application.</summary>
    public static bool IsReserved(string key) =>
        key.StartsWith("grpc-", StringComparison.Ordinal) || key.StartsWith(':') || Transport.Contains(key);

    /// <summary>Whether a content type is that of gRPC: <c>application/grpc</c>, with a suffix or parameters or without.</summary>
    public static bool IsGrpc(string? contentType) =>
        contentType is not null
        && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is '+' or ';');
}
