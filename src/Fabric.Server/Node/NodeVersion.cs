using System.Reflection;

namespace Fabric.Server.Node;

/// <summary>Which build this is.</summary>
internal static class NodeVersion
{
    /// <summary>Version of the program, followed by <c>+commit</c> when the build knew it.</summary>
    public static string Text { get; } =
        typeof(NodeVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
