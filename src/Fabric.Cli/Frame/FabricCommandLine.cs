using System.CommandLine;
using Fabric.Cli.Commands;

namespace Fabric.Cli.Frame;

/// <summary>
/// The program <c>fabric</c>: its commands, and what all of them have in common. Each command is also known as <c>fabric:NAME</c>, and
/// by two words where its name has a dash.
/// </summary>
internal sealed class FabricCommandLine
{
    private const string Scope = "fabric:";
    private readonly CliContext _context;
    private readonly GlobalOptions _globals;
    private readonly RootCommand _root = new("Asks and tells a fabric of message brokers.");

    public FabricCommandLine(CliContext context)
    {
        _context = context;
        _globals = new GlobalOptions(context.Environment);
        foreach (var option in _globals.All)
        {
            _root.Options.Add(option);
        }

        foreach (var create in CommandTable.All)
        {
            var command = create(this);
            command.Aliases.Add(Scope + command.Name);
            foreach (var alias in command.Aliases.Where(alias => !alias.Contains(':', StringComparison.Ordinal)).ToArray())
            {
                command.Aliases.Add(Scope + alias);
            }

            _root.Subcommands.Add(command);
        }
    }

    /// <summary>Names of the commands, without aliases.</summary>
    public IEnumerable<string> CommandNames => _root.Subcommands.Where(command => !command.Hidden).Select(command => command.Name);

    /// <summary>Makes a command that runs the action.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="description">One line of help.</param>
    /// <param name="symbols">Its options and arguments, in order.</param>
    /// <param name="action">What it does; failures are exceptions (<see cref="CliException"/> or what <see cref="ErrorReport"/> knows).</param>
    public Command Create(string name, string description, IEnumerable<Symbol> symbols, Func<Invocation, Task<ExitCode>> action)
    {
        var command = new Command(name, description);
        foreach (var symbol in symbols)
        {
            if (symbol is Option option)
            {
                command.Options.Add(option);
            }
            else
            {
                command.Arguments.Add((Argument)symbol);
            }
        }

        command.SetAction(async (parsed, cancellationToken) =>
            (int)await action(new Invocation(parsed, _globals, _context, cancellationToken)).ConfigureAwait(false));
        return command;
    }

    /// <summary>Runs a command line to its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var normal = ArgumentScan.Normalize(arguments, IsCommand, out var password);
        if (password is not null)
        {
            normal = [.. normal, "--zookeeper-password", password];
        }

        var parsed = _root.Parse(normal);
        if (parsed.Errors.Count > 0)
        {
            return (int)ErrorReport.Write(_context.Error, UsageError.Describe(parsed, CommandNames, normal));
        }

        if (!normal.Contains("--") && UsageError.FindStrayOption(parsed) is { } stray)
        {
            return (int)ErrorReport.Write(_context.Error, stray);
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                Output = _context.Out,
                Error = _context.Error,
                EnableDefaultExceptionHandler = false,
            }).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            return (int)ErrorReport.Write(_context.Error, exception);
        }
        finally
        {
            await _context.Out.FlushAsync().ConfigureAwait(false);
        }
    }

    private bool IsCommand(string name) =>
        _root.Subcommands.Any(command => command.Name == name || command.Aliases.Contains(name));
}
