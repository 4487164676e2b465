using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using Fabric.Client.Connections;

namespace Fabric.Cli.Frame;

/// <summary>Says in one line what is wrong with a command line, and what was probably meant.</summary>
internal static partial class UsageError
{
    /// <param name="parsed">The command line, with errors.</param>
    /// <param name="commands">Names of the commands.</param>
    /// <param name="arguments">The command line's words.</param>
    public static CliException Describe(ParseResult parsed, IEnumerable<string> commands, IReadOnlyList<string> arguments)
    {
        var command = parsed.CommandResult.Command;
        if (parsed.UnmatchedTokens is [var token, ..])
        {
            return token.StartsWith('-') ? UnknownOption(token, command, parsed.RootCommandResult.Command)
                : command is RootCommand ? UnknownCommand(token, commands)
                : new CliException(
                    ExitCode.Usage, $"'{token}' is one argument too many for {command.Name}", null, $"fabric {command.Name} --help");
        }

        return arguments.Count == 0
            ? new CliException(ExitCode.Usage, "no command was given", null, "fabric --help")
            : new CliException(ExitCode.Usage, Plain(parsed.Errors[0].Message), null, Help(command));
    }

    /// <summary>
    /// An option that the command does not have and that the parser took for one of its arguments. A word that begins with a dash may still be
    /// an argument: after <c>--</c>, or when no letter follows, such as a number.
    /// </summary>
    /// <returns>Null when there is none.</returns>
    public static CliException? FindStrayOption(ParseResult parsed)
    {
        var stray = parsed.CommandResult.Children.OfType<ArgumentResult>()
            .SelectMany(argument => argument.Tokens)
            .FirstOrDefault(token => token.Value.TrimStart('-') is [var first, ..] && char.IsAsciiLetter(first) && token.Value[0] == '-');
        return stray is null ? null : UnknownOption(stray.Value, parsed.CommandResult.Command, parsed.RootCommandResult.Command);
    }

    private static CliException UnknownCommand(string token, IEnumerable<string> commands)
    {
        var nearest = NearestName.Find(token, commands);
        return new CliException(ExitCode.Usage, $"there is no command '{token}'", null, nearest is null ? "fabric --help" : $"fabric {nearest}");
    }

    private static CliException UnknownOption(string token, Command command, Command root)
    {
        var name = token.Split('=', 2)[0];
        var names = command.Options.Concat(root.Options)
            .Where(option => !option.Hidden)
            .SelectMany(option => option.Aliases.Prepend(option.Name))
            .Where(known => known.StartsWith("--", StringComparison.Ordinal));
        var where = command is RootCommand ? "fabric" : command.Name;
        return new CliException(
            ExitCode.Usage, $"{where} has no option '{name}'", null, NearestName.Find(name, names) ?? Help(command));
    }

    private static string Help(Command command) => command is RootCommand ? "fabric --help" : $"fabric {command.Name} --help";

    /// <summary>The library's message as a part of a sentence, without the names of .NET types.</summary>
    private static string Plain(string message)
    {
        var text = ExpectedType().Replace(message, match => match.Groups[1].Value switch
        {
            "System.Int32" or "System.Int64" or "System.UInt16" => ": it is not a number",
            "System.Boolean" => ": it is neither true nor false",
            _ => "",
        });
        text = text.TrimEnd('.').ReplaceLineEndings(" ");
        return text.Length > 0 ? char.ToLowerInvariant(text[0]) + text[1..] : "the command line is wrong";
    }

    [GeneratedRegex(@" as expected type '([\w.]+)'\.?")]
    private static partial Regex ExpectedType();
}
