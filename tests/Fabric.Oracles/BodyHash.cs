using System.Text;

namespace Fabric.Oracles;

/// <summary>The hash of a body by which deliveries are compared with sends: FNV-1a, 64 bits, which is a few lines in any language.</summary>
public static class BodyHash
{
    private const ulong OffsetBasis = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    public static ulong Of(ReadOnlySpan<byte> body)
    {
        var hash = OffsetBasis;
        foreach (var octet in body)
        {
            hash = (hash ^ octet) * Prime;
        }

        return hash;
    }

    /// <summary>The hash of a text's UTF-8.</summary>
    public static ulong Of(string text) => Of(Encoding.UTF8.GetBytes(text));
}
