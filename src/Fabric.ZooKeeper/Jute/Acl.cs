using System.Collections.Immutable;

namespace Fabric.ZooKeeper.Jute;

/// <summary>What an ACL entry allows; the bits of the wire.</summary>
[Flags]
public enum AclPermissions
{
    None = 0,
    Read = 1,
    Write = 2,

    /// <summary>Create children.</summary>
    Create = 4,

    /// <summary>Delete children; a znode's own ACL does not protect it from deletion.</summary>
    Delete = 8,

    /// <summary>Change the ACL.</summary>
    Admin = 16,
    All = Read | Write | Create | Delete | Admin,
}

/// <summary>An identity: scheme and a value in that scheme, <c>digest</c> and <c>user:hash</c> for example.</summary>
public sealed record Id(string Scheme, string Value)
{
    internal static Id Read(ref JuteReader reader) => new(reader.ReadRequiredString(), reader.ReadRequiredString());

    internal void Write(JuteWriter writer)
    {
        writer.WriteString(Scheme);
        writer.WriteString(Value);
    }
}

/// <summary>One entry of a znode's access control list: these permissions for this identity.</summary>
public sealed record Acl(AclPermissions Permissions, Id Id)
{
    private const int EncodedLengthMin = 12;

    internal static Acl Read(ref JuteReader reader) => new((AclPermissions)reader.ReadInt32(), Id.Read(ref reader));

    internal void Write(JuteWriter writer)
    {
        writer.WriteInt32((int)Permissions);
        Id.Write(writer);
    }

    /// <summary>A <c>vector&lt;ACL&gt;</c>, or null.</summary>
    internal static Acl[]? ReadList(ref JuteReader reader)
    {
        var count = reader.ReadCount(EncodedLengthMin);
        if (count < 0)
        {
            return null;
        }

        var list = new Acl[count];
        for (var i = 0; i < count; i++)
        {
            list[i] = Read(ref reader);
        }

        return list;
    }

    internal static void WriteList(JuteWriter writer, IReadOnlyCollection<Acl>? list)
    {
        writer.WriteInt32(list?.Count ?? -1);
        foreach (var acl in list ?? [])
        {
            acl.Write(writer);
        }
    }
}

/// <summary>Identities and access control lists that everybody uses. Immutable.</summary>
public static class WellKnownAcls
{
    /// <summary>Everybody.</summary>
    public static Id Anyone { get; } = new("world", "anyone");

    /// <summary>Stands, in a create or a change of the ACL, for every identity the caller has authenticated as.</summary>
    public static Id Authenticated { get; } = new("auth", "");

    /// <summary>Everybody may do everything.</summary>
    public static ImmutableArray<Acl> OpenUnsafe { get; } = [new(AclPermissions.All, Anyone)];

    /// <summary>Everybody may read.</summary>
    public static ImmutableArray<Acl> ReadUnsafe { get; } = [new(AclPermissions.Read, Anyone)];

    /// <summary>The creator, as authenticated, may do everything; nobody else anything.</summary>
    public static ImmutableArray<Acl> CreatorAll { get; } = [new(AclPermissions.All, Authenticated)];
}
