using System.Globalization;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>A parsed connect string (reference §2.1).</summary>
/// <param name="Hosts">At least one.</param>
/// <param name="Chroot">Prefix of all paths, or empty.</param>
public sealed record ConnectString(IReadOnlyList<(string Host, int Port)> Hosts, string Chroot)
{
    private const int DefaultPort = 2181;

    /// <exception cref="FormatException">The text is no connect string; the message says why.</exception>
    public static ConnectString Parse(string text)
    {
        var slash = text.IndexOf('/');
        var chroot = slash < 0 || text.Length == slash + 1 ? "" : text[slash..];
        if (chroot.Length > 0 && !ZnodePath.IsValid(chroot, out var reason))
        {
            throw new FormatException($"the chroot \"{chroot}\" is not valid: {reason}");
        }

        var hosts = (slash < 0 ? text : text[..slash])
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(ParseHost).ToArray();
        return hosts.Length > 0
            ? new ConnectString(hosts, chroot)
            : throw new FormatException($"\"{text}\" names no ZooKeeper server; expected is host:port,host:port");
    }

    /// <summary>The path as the server knows it.</summary>
    internal string ToServer(string path) => Chroot.Length == 0 ? path : path == ZnodePath.Root ? Chroot : Chroot + path;

    /// <summary>The same for a delete: the root cannot be deleted, and must not become the chroot, which can.</summary>
    internal string ToServerForDelete(string path) => path == ZnodePath.Root ? path : ToServer(path);

    /// <summary>A server's path as the client's user knows it; one that is not below the chroot stays as it is.</summary>
    internal string ToClient(string path)
    {
        if (Chroot.Length == 0 || !path.StartsWith(Chroot, StringComparison.Ordinal))
        {
            return path;
        }

        var rest = path[Chroot.Length..];
        return rest.Length == 0 ? ZnodePath.Root : rest[0] == '/' ? rest : path;
    }

    private static (string Host, int Port) ParseHost(string text)
    {
        var end = text.StartsWith('[') ? text.IndexOf(']') : -1;
        var colon = text.IndexOf(':', Math.Max(end, 0));
        var host = colon < 0 ? text : text[..colon];
        var port = DefaultPort;
        if (host.Length == 0 || (colon >= 0 && !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port))
            || port is <= 0 or > ushort.MaxValue)
        {
            throw new FormatException($"\"{text}\" is no ZooKeeper server; expected is host:port");
        }

        return (host.Trim('[', ']'), port);
    }
}
