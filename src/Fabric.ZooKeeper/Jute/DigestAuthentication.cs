using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Fabric.ZooKeeper.Jute;

/// <summary>The <c>digest</c> scheme (reference §2.9).</summary>
public static class DigestAuthentication
{
    public const string Scheme = "digest";

    /// <summary>
    /// The identity of a user and password: <c>user:BASE64(SHA1("user:password"))</c>, the hash over the UTF-8 bytes of the
    /// whole text.
    /// </summary>
    /// <param name="userAndPassword"><c>user:password</c>; the user ends at the first colon.</param>
    public static Id CreateId(string userAndPassword) => CreateId(Encoding.UTF8.GetBytes(userAndPassword));

    /// <summary>The same from the bytes of an auth packet.</summary>
    [SuppressMessage("Security", "CA5350", Justification = "SHA-1 is what the scheme is defined by.")]
    public static Id CreateId(ReadOnlySpan<byte> userAndPassword)
    {
        var colon = userAndPassword.IndexOf((byte)':');
        var user = Encoding.UTF8.GetString(colon < 0 ? userAndPassword : userAndPassword[..colon]);
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
        SHA1.HashData(userAndPassword, hash);
        return new Id(Scheme, $"{user}:{Convert.ToBase64String(hash)}");
    }
}
