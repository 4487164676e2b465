using System.Collections.Immutable;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Registry;

/// <summary>
/// Who may do what, as the ancestors' code chose it by the longest matching prefix (fabric.md §1.1): below <c>/fabric</c> the
/// holders of the password everything and everybody else nothing, elsewhere everybody everything.
/// </summary>
internal static class RegistryAcls
{
    private static readonly ImmutableArray<Acl> Protected =
        [new(AclPermissions.All, WellKnownAcls.Authenticated), new(AclPermissions.None, WellKnownAcls.Anyone)];

    public static ImmutableArray<Acl> For(string path) =>
        path.StartsWith(ZnodePaths.Fabric, StringComparison.Ordinal) ? Protected : WellKnownAcls.OpenUnsafe;
}
