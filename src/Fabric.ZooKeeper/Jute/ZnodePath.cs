using System.Diagnostics.CodeAnalysis;

namespace Fabric.ZooKeeper.Jute;

/// <summary>Rules of znode paths (reference §1.15).</summary>
public static class ZnodePath
{
    public const string Root = "/";

    /// <summary>
    /// Whether the path may name a znode: it starts with <c>/</c>, does not end with one (but for the root), has no empty
    /// component and none that is <c>.</c> or <c>..</c>, and no character that ZooKeeper refuses.
    /// </summary>
    /// <param name="path">The path. For a sequential create, append a digit before asking.</param>
    /// <param name="reason">What is wrong with it, for people.</param>
    public static bool IsValid(string path, [NotNullWhen(false)] out string? reason)
    {
        reason = Fault(path);
        return reason is null;
    }

    /// <summary>Throws unless the path is valid.</summary>
    /// <exception cref="ArgumentException">The message says what is wrong with it.</exception>
    public static void Validate(string path, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(path))] string? name = null)
    {
        if (!IsValid(path, out var reason))
        {
            throw new ArgumentException($"the path \"{path}\" is not valid: {reason}", name);
        }
    }

    /// <summary>The path of the parent; the root's is empty.</summary>
    internal static string ParentOf(string path)
    {
        var slash = path.LastIndexOf('/');
        return slash switch
        {
            < 0 => "",
            0 => path.Length == 1 ? "" : Root,
            _ => path[..slash],
        };
    }

    /// <summary>The last component.</summary>
    internal static string NameOf(string path) => path[(path.LastIndexOf('/') + 1)..];

    private static string? Fault(string path)
    {
        if (path.Length == 0)
        {
            return "it is empty";
        }

        if (path[0] != '/')
        {
            return "it does not start with /";
        }

        if (path.Length == 1)
        {
            return null;
        }

        if (path[^1] == '/')
        {
            return "it ends with /";
        }

        foreach (var component in path.AsSpan(1).Split('/'))
        {
            var text = path.AsSpan(1)[component];
            if (text.IsEmpty)
            {
                return "a component is empty";
            }

            if (text is "." or "..")
            {
                return "a component is . or ..";
            }
        }

        foreach (var character in path)
        {
            if (character is <= '\u001f' or (>= '\u007f' and <= '\u009f') or (>= '\ud800' and <= '\uf8ff') or >= '\ufff0')
            {
                return $"it contains the character U+{(int)character:X4}";
            }
        }

        return null;
    }
}
