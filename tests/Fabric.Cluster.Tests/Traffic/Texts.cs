using System.Globalization;
using Fabric.Oracles;

namespace Fabric.Cluster.Tests.Traffic;

/// <summary>The bodies that all producers send, and the clock that all clients of one machine share.</summary>
internal static class Texts
{
    /// <summary>Microseconds since 1970, as the Java programs print them too.</summary>
    public static TimeSpan Now => DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch;

    /// <param name="message">Who sends it.</param>
    /// <param name="padding">Further characters; 0 or more.</param>
    public static string Of(MessageIdentity message, int padding = 0) => padding == 0 ? $"{message}" : $"{message}:{new string('x', padding)}";

    /// <summary>Whose text it is; a text that is none of ours is nobody's.</summary>
    public static MessageIdentity IdentityOf(string text)
    {
        var parts = text.Split(':', 3);
        return parts.Length >= 2 && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new MessageIdentity(parts[0], number)
            : new MessageIdentity($"nobody ({text})", 0);
    }

    public static TimeSpan Micros(string text) => TimeSpan.FromMicroseconds(long.Parse(text, CultureInfo.InvariantCulture));
}
