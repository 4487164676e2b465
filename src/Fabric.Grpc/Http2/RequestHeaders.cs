using System.Buffers;

namespace Fabric.Grpc.Http2;

/// <summary>The rules for the headers of a request: RFC 9113, sections 8.2 and 8.3.1.</summary>
internal static class RequestHeaders
{
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz");
    private static readonly SearchValues<char> NotInValues = SearchValues.Create("\0\r\n");
    private static readonly string[] OfConnections = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    private static readonly string[] Pseudo = [":method", ":scheme", ":path", ":authority"];

    /// <summary>What is wrong; null when nothing is.</summary>
    public static string? Fault(IReadOnlyList<HeaderField> fields)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var isPseudo = true;
        foreach (var (name, value) in fields)
        {
            if (name.StartsWith(':'))
            {
                if (!isPseudo || !Pseudo.Contains(name) || !seen.Add(name))
                {
                    return $"{name} is unknown, late or there twice";
                }
            }
            else
            {
                isPseudo = false;
                if (name.Length == 0 || name.AsSpan().ContainsAnyExcept(NameCharacters))
                {
                    return $"'{name}' is no name of a header";
                }

                if (OfConnections.Contains(name) || (name == "te" && value != "trailers"))
                {
                    return $"{name} is no header of HTTP/2";
                }
            }

            if (value.AsSpan().ContainsAny(NotInValues))
            {
                return $"the value of {name} has a line's end in it";
            }
        }

        return Array.Find(Pseudo[..3], name => !seen.Contains(name)) is { } missing ? $"{missing} is missing"
            : fields.First(field => field.Name == ":path").Value.Length == 0 ? ":path is empty"
            : null;
    }
}
