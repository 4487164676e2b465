using System.CommandLine;
using Fabric.Client;
using Fabric.Client.Connections;
using Fabric.Registry;

namespace Fabric.Cli.Frame;

/// <summary>Options of the commands that talk to a broker as its clients do, in all spellings that old scripts use.</summary>
internal sealed class ClientOptions
{
    public const string PasswordVariable = "FABRIC_PASSWORD";
    private const string DefaultUrl = "discovery:fabric:default";

    public Option<string> Url { get; } = new("--url", "-u", "--brokerUrl")
    {
        Description = "The broker: tcp://HOST:PORT, failover:(URL,...) or discovery:fabric:GROUP. Also FABRIC_URL.",
        HelpName = "URL",
        DefaultValueFactory = _ => System.Environment.GetEnvironmentVariable("FABRIC_URL") is { Length: > 0 } url ? url : DefaultUrl,
    };

    public Option<string?> User { get; } = new("--user") { Description = "User name. Also FABRIC_USER.", HelpName = "NAME" };

    public Option<string?> Password { get; } = new("--password")
    {
        Description = $"Password; other users of this machine can see it. Prefer --password-file or {PasswordVariable}.",
        HelpName = "PASSWORD",
    };

    public Option<string?> PasswordFile { get; } = new("--password-file") { Description = "File with the password.", HelpName = "FILE" };

    public Option<string> Destination { get; } = new("--destination")
    {
        Description = "queue://NAME, topic://NAME, or the name of a queue.",
        HelpName = "DESTINATION",
        DefaultValueFactory = _ => "queue://TEST",
    };

    public IEnumerable<Symbol> All => [Url, User, Password, PasswordFile, Destination];

    /// <summary>The destination that the invocation names.</summary>
    /// <exception cref="CliException">It is none.</exception>
    public Destination DestinationOf(Invocation invocation)
    {
        try
        {
            return Fabric.Client.Destination.Parse(invocation.Get(Destination)!);
        }
        catch (ArgumentException exception)
        {
            throw new CliException(
                ExitCode.Usage, $"--destination '{invocation.Get(Destination)}' is no destination", "a name is not blank and has no options behind a question mark",
                "--destination queue://NAME", exception);
        }
    }

    /// <summary>The broker's URL as it may be shown: without passwords.</summary>
    /// <exception cref="CliException">It is none.</exception>
    public string ShownUrlOf(Invocation invocation)
    {
        var url = invocation.Get(Url)!;
        try
        {
            return string.IsNullOrWhiteSpace(url) ? throw new UriFormatException("--url is empty") : ClientUrl.Parse(url).Text;
        }
        catch (UriFormatException exception)
        {
            throw new CliException(ExitCode.Usage, exception.Message, null, $"--url {DefaultUrl}", exception);
        }
    }

    /// <summary>A client for the invocation's options; a registry that is to be asked must answer, so that its absence is an error here.</summary>
    public async Task<FabricClient> CreateAsync(Invocation invocation)
    {
        ShownUrlOf(invocation); // a URL that is none is said before anybody is asked
        var url = invocation.Get(Url)!;
        var hosts = invocation.GivenZooKeeper;
        var isDiscovery = url.StartsWith("discovery:", StringComparison.OrdinalIgnoreCase);
        if (isDiscovery && hosts is null && !url.Contains("zookeeper", StringComparison.OrdinalIgnoreCase))
        {
            hosts = invocation.RegistryOptions.ConnectString;
        }

        if (hosts is not null && isDiscovery)
        {
            await using var registry = await FabricRegistry.ConnectAsync(
                invocation.Context.Runtime, invocation.RegistryOptions with { ConnectString = hosts }, null, invocation.CancellationToken).ConfigureAwait(false);
        }

        return new FabricClient(url, new FabricClientOptions
        {
            UserName = invocation.Get(User) ?? invocation.Context.Environment("FABRIC_USER"),
            Password = PasswordOf(invocation),
            ZooKeeper = hosts,
            ZooKeeperPassword = invocation.RegistryOptions.Password,
            Runtime = invocation.Context.Runtime,
        });
    }

    /// <summary>Connects, and says to whom, now and after every failover.</summary>
    public static async Task ConnectAsync(FabricClient client, Invocation invocation)
    {
        client.Interrupted += (_, interrupted) =>
        {
            invocation.Error.WriteLine($"Transport ({interrupted.Broker.Uri}) failed, reason: {interrupted.Cause.Message}, attempting to automatically reconnect");
            return ValueTask.CompletedTask;
        };
        client.Resumed += (_, resumed) =>
        {
            invocation.Error.WriteLine($"Successfully reconnected to {resumed.Broker.Uri}");
            return ValueTask.CompletedTask;
        };
        await client.ConnectAsync(invocation.CancellationToken).ConfigureAwait(false);
        invocation.Error.WriteLine($"Successfully connected to {client.Broker!.Uri}");
    }

    private string? PasswordOf(Invocation invocation)
    {
        if (invocation.Get(PasswordFile) is { } file)
        {
            var path = Path.GetFullPath(file, invocation.Context.WorkingDirectory);
            return Fabric.Runtime.Processes.SecretFile.Read(path)
                ?? throw new CliException(ExitCode.BadConfiguration, $"the password file {path} does not exist");
        }

        return invocation.Get(Password) ?? invocation.Context.Environment(PasswordVariable);
    }
}
