using System.Net;
using System.Net.Sockets;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>Who may do what (reference §1.9). Pure functions.</summary>
internal static class AccessControl
{
    public const string WorldScheme = "world";
    public const string AuthScheme = "auth";
    public const string IpScheme = "ip";
    public const string SuperScheme = "super";

    /// <summary>Whether one of the identities has one of the permissions.</summary>
    public static bool Allows(Acl[] acl, AclPermissions permissions, IReadOnlyList<Id> identities)
    {
        foreach (var entry in acl)
        {
            if ((entry.Permissions & permissions) != 0 && Matches(entry.Id, identities))
            {
                return true;
            }
        }

        return identities.Any(identity => identity.Scheme == SuperScheme);
    }

    /// <summary>
    /// What a client's ACL becomes in the tree: duplicates removed, order kept, <c>auth</c> replaced by the identities the
    /// client has proved.
    /// </summary>
    /// <returns>Null when the list is not valid.</returns>
    public static Acl[]? Resolve(IReadOnlyList<Acl>? acl, IReadOnlyList<Id> identities)
    {
        if (acl is null or { Count: 0 })
        {
            return null;
        }

        var resolved = new List<Acl>(acl.Count);
        foreach (var entry in acl.Distinct())
        {
            if (entry.Id.Scheme == AuthScheme)
            {
                var proved = identities.Where(identity => identity.Scheme == DigestAuthentication.Scheme).ToArray();
                if (proved.Length == 0)
                {
                    return null;
                }

                resolved.AddRange(proved.Select(identity => new Acl(entry.Permissions, identity)));
            }
            else if (IsValid(entry.Id))
            {
                resolved.Add(entry);
            }
            else
            {
                return null;
            }
        }

        return [.. resolved];
    }

    /// <summary>The ACL as shown to somebody who may not change it: without the hashes.</summary>
    public static Acl[] Mask(Acl[] acl) => Array.ConvertAll(acl, entry => entry.Id.Scheme == DigestAuthentication.Scheme
        ? entry with { Id = entry.Id with { Value = $"{UserOf(entry.Id)}:x" } }
        : entry);

    /// <summary>The part of an identity that may be shown.</summary>
    public static string UserOf(Id identity)
    {
        if (identity.Scheme != DigestAuthentication.Scheme)
        {
            return identity.Value;
        }

        var colon = identity.Value.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? identity.Value : identity.Value[..colon];
    }

    private static bool Matches(Id wanted, IReadOnlyList<Id> identities)
    {
        if (wanted == WellKnownAcls.Anyone)
        {
            return true;
        }

        foreach (var identity in identities)
        {
            if (identity.Scheme == wanted.Scheme
                && (identity.Value == wanted.Value || (wanted.Scheme == IpScheme && IsInRange(identity.Value, wanted.Value))))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsValid(Id id) => id.Scheme switch
    {
        WorldScheme => id == WellKnownAcls.Anyone,
        DigestAuthentication.Scheme => id.Value.Split(':') is [{ Length: > 0 }, { Length: > 0 }],
        IpScheme => TryParseRange(id.Value, out _, out _),
        _ => false,
    };

    private static bool IsInRange(string address, string range)
    {
        if (!IPAddress.TryParse(address, out var parsed) || !TryParseRange(range, out var network, out var bits))
        {
            return false;
        }

        var left = parsed.GetAddressBytes();
        var right = network.GetAddressBytes();
        if (left.Length != right.Length)
        {
            return false;
        }

        for (var i = 0; i < left.Length && bits > 0; i++, bits -= 8)
        {
            var mask = bits >= 8 ? 0xFF : 0xFF << (8 - bits);
            if (((left[i] ^ right[i]) & mask) != 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Takes <c>address</c> or <c>address/bits</c>. An IPv4 address has all four numbers, as everywhere but in inet_aton.</summary>
    private static bool TryParseRange(string text, out IPAddress network, out int bits)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var address = slash < 0 ? text : text[..slash];
        bits = 0;
        network = IPAddress.None;
        if (!IPAddress.TryParse(address, out var parsed)
            || (parsed.AddressFamily == AddressFamily.InterNetwork && address.Split('.').Length != 4))
        {
            return false;
        }

        network = parsed;
        var bitsMax = parsed.GetAddressBytes().Length * 8;
        if (slash < 0)
        {
            bits = bitsMax;
            return true;
        }

        return int.TryParse(text[(slash + 1)..], out bits) && bits >= 0 && bits <= bitsMax;
    }
}
