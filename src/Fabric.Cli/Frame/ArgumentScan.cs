namespace Fabric.Cli.Frame;

/// <summary>What is done to a command line before it is parsed, so that lines copied from old texts work.</summary>
internal static class ArgumentScan
{
    private const string ZooKeeperProperty = "-Dzookeeper.url=";
    private const string PasswordProperty = "-Dzookeeper.password=";

    /// <summary>
    /// Makes ordinary dashes of typographic ones before an option's name (<c>-—sleep</c>, <c>—sleep</c>), joins a command that was
    /// typed as two words (<c>cluster list</c>), and turns the Java properties that name the registry into options.
    /// </summary>
    /// <param name="arguments">As the shell passed them.</param>
    /// <param name="isCommand">Whether a name is a command.</param>
    /// <param name="password">A password that stood on the command line.</param>
    public static string[] Normalize(IReadOnlyList<string> arguments, Func<string, bool> isCommand, out string? password)
    {
        password = null;
        var normal = new List<string>(arguments.Count);
        foreach (var argument in arguments)
        {
            if (argument.StartsWith(ZooKeeperProperty, StringComparison.Ordinal))
            {
                normal.AddRange(["--zookeeper", argument[ZooKeeperProperty.Length..]]);
            }
            else if (argument.StartsWith(PasswordProperty, StringComparison.Ordinal))
            {
                password = argument[PasswordProperty.Length..];
            }
            else
            {
                normal.Add(WithPlainDashes(argument));
            }
        }

        if (normal.Count > 1 && !isCommand(normal[0]) && isCommand($"{normal[0]}-{normal[1]}"))
        {
            normal[0] = $"{normal[0]}-{normal[1]}";
            normal.RemoveAt(1);
        }

        return [.. normal];
    }

    private static string WithPlainDashes(string argument)
    {
        var length = 0;
        var isTypographic = false;
        while (length < argument.Length && IsDash(argument[length]))
        {
            isTypographic |= argument[length] != '-';
            length++;
        }

        // Only before a name: a lone dash or a negative number may be meant as it stands.
        if (!isTypographic || length == argument.Length || !char.IsAsciiLetter(argument[length]))
        {
            return argument;
        }

        var name = argument[length..];
        return (name.Length == 1 ? "-" : "--") + name;
    }

    private static bool IsDash(char character) => character is '-' or (>= '\u2010' and <= '\u2015') or '\u2212';
}
