using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;

namespace Fabric.Cli.Commands;

/// <summary><c>mq-create</c>: a broker's profile, and the containers that run it (fabric.md §3.7).</summary>
internal static class MqCreateCommand
{
    private static readonly string[] KindsOfOthers = ["MasterSlave", "NPlusOne"];

    private static readonly Argument<string> Name = new("NAME") { Description = "The broker's name." };
    private static readonly Option<string?> Kind = Text("--kind", "KIND", "Replicated (default for a new broker) or StandAlone.");
    private static readonly Option<int?> Replicas = new("--replicas")
    {
        Description = "How many copies of the messages, 1 to 9. Default for a new broker: one per container named, else 3.",
        HelpName = "N",
    };

    private static readonly Option<string?> CreateContainer = Text("--create-container", "A,B", "Containers to create for the broker.");
    private static readonly Option<string?> AssignContainer = Text("--assign-container", "A,B", "Containers that exist and are to run it too.");
    private static readonly Option<string?> Group = Text("--group", "GROUP", "Clients find it by discovery:fabric:GROUP. Default: default.");
    private static readonly Option<string?> Data = Text("--data", "DIR", "Directory of the messages. Default: one in each container's own.");
    private static readonly Option<string?> Config = Text("--config", "FILE", "A file of the parent profile.");
    private static readonly Option<string?> Version = Text("--version", "VERSION", "Default: the fabric's default version.");
    private static readonly Option<string[]> Networks = new("--networks", "--network") { Description = "Groups to connect to.", HelpName = "G1,G2" };
    private static readonly Option<string?> NetworksUserName = Text("--networks-username", "USER", "User at those groups.");
    private static readonly Option<string?> NetworksPassword = Text("--networks-password", "PASSWORD", "Its password.");
    private static readonly Option<string[]> Port = new("--port", "--ports") { Description = "A connector's port; may be repeated.", HelpName = "CONNECTOR=N" };
    private static readonly Option<string[]> Property = new("--property", "-D") { Description = "Any other key; may be repeated.", HelpName = "KEY=VALUE" };
    private static readonly Option<string?> ParentProfile = Text("--parent-profile", "PROFILE", "Default: mq-replicated or mq-base.");
    private static readonly Option<string?> Profile = Text("--profile", "PROFILE", "The profile to write. Default: one of the broker's name.");
    private static readonly Option<int?> MinimumInstances = new("--minimumInstances") { Description = "How many containers should run it.", HelpName = "N" };
    private static readonly Option<bool> NoSsl = new("--no-ssl") { Description = "Connectors without TLS; they are so anyway." };

    public static Command Create(FabricCommandLine line) => line.Create(
        "mq-create", "Create a broker, and containers for it.",
        [
            Name, Kind, Replicas, CreateContainer, AssignContainer, ContainerCreateCommand.Parent, Group, Data, Config, Version, Networks,
            NetworksUserName, NetworksPassword, Port, Property, ParentProfile, Profile, MinimumInstances, NoSsl,
            ContainerNames.NoWait, ContainerNames.Timeout,
        ],
        RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var limit = ContainerNames.LimitOf(invocation);
        var created = SplitNames(invocation.Get(CreateContainer));
        var assigned = SplitNames(invocation.Get(AssignContainer));
        Array.ForEach(created, ContainerCreateCommand.CheckName);
        var broker = ReadOptions(invocation);
        WarnOfOptionsWithoutEffect(invocation, broker);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var directory = new ContainerDirectory(registry);
        broker = broker with
        {
            Version = invocation.Get(Version)
                ?? await new ProfileStore(registry).DefaultVersionAsync(invocation.CancellationToken).ConfigureAwait(false),
        };
        if (!await broker.ExistsAsync(registry, invocation.CancellationToken).ConfigureAwait(false))
        {
            broker = WithDefaults(invocation, broker, created.Length + assigned.Length);
        }

        if (broker.Replicas == 2)
        {
            invocation.Error.WriteLine("warning: of 2 replicas none may fail; 3 survive the loss of one");
        }

        await CheckContainersAsync(directory, created, assigned, invocation.CancellationToken).ConfigureAwait(false);
        var parent = created.Length > 0 ? await ContainerCreateCommand.ParentAsync(invocation, directory).ConfigureAwait(false) : "";

        var profile = await WriteAsync(broker, registry, invocation.CancellationToken).ConfigureAwait(false);
        invocation.Out.WriteLine($"MQ profile {profile} ready");
        foreach (var container in assigned)
        {
            await new ProfileStore(registry).TryAssignAsync(container, profile, invocation.CancellationToken).ConfigureAwait(false);
            invocation.Out.WriteLine($"Profile successfully assigned to {container}");
        }

        foreach (var container in created)
        {
            await ContainerCreateCommand.CreateChildAsync(
                directory, container, parent, broker.Version, [profile], invocation.CancellationToken).ConfigureAwait(false);
        }

        return await WaitForCreatedAsync(invocation, registry, created, limit).ConfigureAwait(false);
    }

    private static async Task<string> WriteAsync(BrokerProfile broker, FabricRegistry registry, CancellationToken cancellationToken)
    {
        try
        {
            return await broker.WriteAsync(registry, cancellationToken).ConfigureAwait(false);
        }
        catch (FormatException exception)
        {
            throw new CliException(ExitCode.Usage, exception.Message, "no container could run the broker; nothing has been changed", "--property KEY=VALUE", exception);
        }
    }

    /// <summary>Says which options this version keeps in the profile and does nothing about.</summary>
    private static void WarnOfOptionsWithoutEffect(Invocation invocation, BrokerProfile broker)
    {
        (Option Option, bool IsGiven)[] kept =
        [
            (Config, broker.Config is not null), (Networks, broker.Networks.Count > 0), (NetworksUserName, broker.NetworksUserName is not null),
            (NetworksPassword, broker.NetworksPassword is not null), (MinimumInstances, broker.MinimumInstances is not null),
        ];
        foreach (var (option, _) in kept.Where(option => option.IsGiven))
        {
            invocation.Error.WriteLine($"warning: {option.Name} is kept in the profile; it has no effect in this version");
        }

        foreach (var connector in broker.Ports.Keys.Where(connector => connector != BrokerSettings.OpenWire))
        {
            invocation.Error.WriteLine($"warning: --port {connector} is kept in the profile; this version has no connector but {BrokerSettings.OpenWire}");
        }
    }

    /// <summary>Containers of one broker wait for each other, so all are asked for before any is waited for.</summary>
    private static async Task<ExitCode> WaitForCreatedAsync(
        Invocation invocation, FabricRegistry registry, string[] created, TimeSpan limit)
    {
        var outcome = ExitCode.Done;
        foreach (var container in created)
        {
            try
            {
                if (!invocation.Get(ContainerNames.NoWait))
                {
                    await ContainerStartCommand.WaitUntilUpAsync(invocation, registry, container, limit, provisioned: false).ConfigureAwait(false);
                }

                invocation.Out.WriteLine($"Successfully created container {container}");
            }
            catch (CliException exception)
            {
                invocation.Out.WriteLine($"Failed to create container {container}: {exception.Message}");
                outcome = exception.Code;
            }
        }

        return outcome;
    }

    /// <summary>What the command line says. What it does not say is null: a broker that exists keeps that as it is.</summary>
    private static BrokerProfile ReadOptions(Invocation invocation)
    {
        var name = invocation.Get(Name)!;
        foreach (var text in new[] { name, invocation.Get(Group), invocation.Get(Profile), invocation.Get(ParentProfile) })
        {
            if (text is not null && !ZnodePaths.IsValidName(text))
            {
                throw new CliException(
                    ExitCode.Usage, $"'{text}' is not a valid name", "names are made of letters, digits, dots, dashes and underscores, 64 at most");
            }
        }

        var kind = invocation.Get(Kind) is { } given ? ReadKind(given) : null;
        return new BrokerProfile
        {
            Name = name,
            Version = "",
            Profile = invocation.Get(Profile),
            ParentProfile = invocation.Get(ParentProfile),
            Group = invocation.Get(Group),
            Kind = kind,
            Replicas = kind == BrokerProfile.StandAlone ? CheckAlone(invocation.Get(Replicas)) : CheckReplicas(invocation.Get(Replicas)),
            Data = invocation.Get(Data),
            Config = invocation.Get(Config),
            Networks = [.. (invocation.Get(Networks) ?? []).SelectMany(SplitNames)],
            NetworksUserName = invocation.Get(NetworksUserName),
            NetworksPassword = invocation.Get(NetworksPassword),
            MinimumInstances = invocation.Get(MinimumInstances) is not < 0 and var instances
                ? instances
                : throw new CliException(ExitCode.Usage, "--minimumInstances must not be negative"),
            Ports = Once("--port", (invocation.Get(Port) ?? []).Select(ReadPort)),
            Properties = Once("--property", (invocation.Get(Property) ?? []).Select(property => ReadPair("--property", property))),
        };
    }

    /// <summary>Fills in what a new broker has to have.</summary>
    private static BrokerProfile WithDefaults(Invocation invocation, BrokerProfile broker, int containers)
    {
        var replicas = CheckReplicas(broker.Replicas ?? (containers > 0 ? containers : 3));
        if (containers > 0 && containers < replicas)
        {
            invocation.Error.WriteLine(
                $"warning: the broker has {replicas} replicas and {containers} containers; it serves when {replicas} containers run it");
        }

        return broker with { Kind = broker.Kind ?? BrokerProfile.Replicated, Replicas = replicas };
    }

    private static string ReadKind(string kind)
    {
        if (string.Equals(kind, BrokerProfile.Replicated, StringComparison.OrdinalIgnoreCase))
        {
            return BrokerProfile.Replicated;
        }

        if (string.Equals(kind, BrokerProfile.StandAlone, StringComparison.OrdinalIgnoreCase))
        {
            return BrokerProfile.StandAlone;
        }

        throw KindsOfOthers.Contains(kind, StringComparer.OrdinalIgnoreCase)
            ? new CliException(
                ExitCode.Usage, $"kind {kind} is not available", "it needs a directory that all containers share", "--kind Replicated: its replicas share nothing")
            : new CliException(ExitCode.Usage, $"there is no kind '{kind}'", null, "--kind Replicated or --kind StandAlone");
    }

    private static int? CheckReplicas(int? replicas) => replicas is null or (>= 1 and <= BrokerSettings.ReplicasMax)
        ? replicas
        : throw new CliException(ExitCode.Usage, $"--replicas is a number from 1 to {BrokerSettings.ReplicasMax}");

    private static int CheckAlone(int? replicas) => replicas is null or 1
        ? 1
        : throw new CliException(
            ExitCode.Usage, $"--replicas {replicas} contradicts --kind {BrokerProfile.StandAlone}", "a broker that stands alone has one copy of its messages",
            $"--kind {BrokerProfile.Replicated}");

    /// <exception cref="CliException">A key is given twice, and nobody can know which value is meant.</exception>
    private static Dictionary<string, T> Once<T>(string option, IEnumerable<KeyValuePair<string, T>> pairs)
    {
        var once = new Dictionary<string, T>(StringComparer.Ordinal);
        foreach (var (key, value) in pairs)
        {
            if (!once.TryAdd(key, value))
            {
                throw new CliException(ExitCode.Usage, $"{option} {key} is given twice");
            }
        }

        return once;
    }

    private static async Task CheckContainersAsync(
        ContainerDirectory directory, string[] created, string[] assigned, CancellationToken cancellationToken)
    {
        foreach (var container in created)
        {
            if (await directory.ExistsAsync(container, cancellationToken).ConfigureAwait(false))
            {
                throw new CliException(
                    ExitCode.Exists, $"A container with name {container} already exists.", null, $"--assign-container {container}");
            }

            await ContainerCreateCommand.CheckIsGoneAsync(directory, container, cancellationToken).ConfigureAwait(false);
        }

        foreach (var container in assigned)
        {
            if (!await directory.ExistsAsync(container, cancellationToken).ConfigureAwait(false))
            {
                throw new CliException(ExitCode.BadData, $"container {container} does not exist", null, $"--create-container {container}");
            }
        }
    }

    private static KeyValuePair<string, int> ReadPort(string text)
    {
        var (connector, number) = ReadPair("--port", text);
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= ushort.MaxValue
            ? KeyValuePair.Create(connector, port)
            : throw new CliException(ExitCode.Usage, $"--port {text}: {number} is not a port, 0 to 65535");
    }

    private static KeyValuePair<string, string> ReadPair(string option, string text) =>
        text.IndexOf('=', StringComparison.Ordinal) is var equals and > 0
            ? KeyValuePair.Create(text[..equals], text[(equals + 1)..])
            : throw new CliException(ExitCode.Usage, $"{option} {text} is not of the form KEY=VALUE");

    private static string[] SplitNames(string? text) =>
        [.. (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal)];

    private static Option<string?> Text(string name, string value, string description) => new(name) { Description = description, HelpName = value };
}
