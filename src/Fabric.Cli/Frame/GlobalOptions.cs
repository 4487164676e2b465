using System.CommandLine;
using Fabric.Registry;
using Fabric.Runtime.Processes;
using Fabric.ZooKeeper.Client;

namespace Fabric.Cli.Frame;

/// <summary>Options that every command has. They may stand anywhere on the line.</summary>
internal sealed class GlobalOptions
{
    public const string ZooKeeperVariable = "FABRIC_ZOOKEEPER";
    public const string PasswordVariable = "FABRIC_ZOOKEEPER_PASSWORD";
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    public GlobalOptions(Func<string, string?> environment)
    {
        ZooKeeper = new Option<string>("--zookeeper", "--zookeeper.url")
        {
            Description = $"The registry's hosts, host:port[,host:port...]. Also {ZooKeeperVariable}.",
            HelpName = "HOSTS",
            Recursive = true,
            DefaultValueFactory = _ => environment(ZooKeeperVariable) is { Length: > 0 } hosts ? hosts
                : environment("ZOOKEEPER_URL") is { Length: > 0 } older ? older : RegistryOptions.DefaultConnectString,
        };
        PasswordFile = new Option<string?>("--zookeeper-password-file")
        {
            Description = $"File (mode 0600) with the registry's password. Also {PasswordVariable} holds the password itself.",
            HelpName = "FILE",
            Recursive = true,
        };
        Password = new Option<string?>("--zookeeper-password", "--zookeeper.password")
        {
            Description = "The registry's password; other users of this machine can see it.",
            HelpName = "PASSWORD",
            Recursive = true,
            Hidden = true,
        };
        Output = new Option<string>("--output", "-o")
        {
            Description = "Form of the output.",
            HelpName = "table|json",
            Recursive = true,
            DefaultValueFactory = _ => "table",
        };
        Output.AcceptOnlyFromAmong("table", "json");
    }

    public Option<string> ZooKeeper { get; }

    public Option<string?> PasswordFile { get; }

    public Option<string?> Password { get; }

    public Option<string> Output { get; }

    public IEnumerable<Option> All => [ZooKeeper, PasswordFile, Password, Output];

    /// <summary>How to reach the registry that a command line and its environment name.</summary>
    /// <exception cref="CliException">The hosts are malformed, or the password file cannot be used.</exception>
    public RegistryOptions RegistryOf(ParseResult parsed, CliContext context) => new()
    {
        ConnectString = HostsOf(parsed),
        Password = PasswordOf(parsed, context),
        ConnectTimeout = ConnectTimeout,
    };

    /// <summary>The registry's hosts.</summary>
    /// <exception cref="CliException">They are malformed.</exception>
    public string HostsOf(ParseResult parsed)
    {
        var hosts = parsed.GetValue(ZooKeeper)!;
        try
        {
            ConnectString.Parse(hosts);
            return hosts;
        }
        catch (FormatException exception)
        {
            throw new CliException(ExitCode.Usage, $"--zookeeper {hosts}: {exception.Message}", null, $"--zookeeper {RegistryOptions.DefaultConnectString}", exception);
        }
    }

    private string PasswordOf(ParseResult parsed, CliContext context)
    {
        if (parsed.GetValue(PasswordFile) is { } file)
        {
            var path = Path.GetFullPath(file, context.WorkingDirectory);
            try
            {
                return SecretFile.Read(path)
                    ?? throw new CliException(ExitCode.BadConfiguration, $"the password file {path} does not exist");
            }
            catch (UnauthorizedAccessException exception)
            {
                throw new CliException(ExitCode.BadConfiguration, exception.Message, innerException: exception);
            }
        }

        if (parsed.GetValue(Password) is { } visible)
        {
            context.Error.WriteLine(
                $"warning: --zookeeper-password is visible to other users; prefer --zookeeper-password-file or {PasswordVariable}");
            return visible;
        }

        return context.Environment(PasswordVariable) is { Length: > 0 } password ? password
            : context.Environment("ZOOKEEPER_PASSWORD") is { Length: > 0 } older ? older : RegistryOptions.DefaultPassword;
    }
}
