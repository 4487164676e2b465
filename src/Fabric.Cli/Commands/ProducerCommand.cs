using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Frame;
using Fabric.Client;

namespace Fabric.Cli.Commands;

/// <summary><c>producer</c>: sends numbered messages, each confirmed before the next; the lines are those of A-MQ's <c>mq-client</c>.</summary>
internal static class ProducerCommand
{
    /// <summary>The most bytes of a body that are tried; brokers take less.</summary>
    internal const int SizeMax = 1 << 30;

    private const long TimeToLiveMax = 100L * 365 * 24 * 3600 * 1000;
    private static readonly ClientOptions Client = new();
    private static readonly Option<int> Count = new("--count", "-n", "--messageCount", "--message-count")
    {
        Description = "Messages to send; 0 goes on until interrupted.", HelpName = "N", DefaultValueFactory = _ => 100,
    };

    private static readonly Option<int> Sleep = new("--sleep") { Description = "Pause after each message, in milliseconds.", HelpName = "MS" };
    private static readonly Option<int> Size = new("--size", "--messageSize", "--message-size")
    {
        Description = "Sends bytes messages of this size instead of texts.", HelpName = "BYTES",
    };

    private static readonly Option<bool> Persistent = new("--persistent")
    {
        Description = "Whether messages survive a crash.", DefaultValueFactory = _ => true,
    };

    private static readonly Option<int> BatchSize = new("--batch-size", "--batchSize", "--transactionBatchSize", "--commit-interval")
    {
        Description = "Messages of a transaction; 0 for none.", HelpName = "N",
    };

    private static readonly Option<long> TimeToLive = new("--ttl", "--msgTTL", "--msgttl") { Description = "Time to live, in milliseconds.", HelpName = "MS" };
    private static readonly Option<string?> GroupId = new("--group-id", "--groupId", "--msgGroupID") { Description = "JMSXGroupID.", HelpName = "ID" };

    public static Command Create(FabricCommandLine line)
    {
        var command = line.Create(
            "producer", "Send messages.", [.. Client.All, Count, Sleep, Size, Persistent, BatchSize, TimeToLive, GroupId], RunAsync);
        command.Aliases.Add("mq-client-producer");
        return command;
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        NotNegative(invocation, Count, Sleep, Size, BatchSize);
        NotMore(invocation, Size, SizeMax);
        if (invocation.Get(TimeToLive) is < 0 or > TimeToLiveMax)
        {
            throw new CliException(ExitCode.Usage, $"{TimeToLive.Name} is {invocation.Get(TimeToLive)}; it must be from 0 to {TimeToLiveMax}, a hundred years");
        }

        var destination = Client.DestinationOf(invocation);
        invocation.Out.WriteLine($"Using destination: {destination}, on broker: {Client.ShownUrlOf(invocation)}");
        await using var client = await Client.CreateAsync(invocation).ConfigureAwait(false);
        await ClientOptions.ConnectAsync(client, invocation).ConfigureAwait(false);
        var sent = 0;
        try
        {
            await SendAsync(invocation, client, destination, () => sent++).ConfigureAwait(false);
        }
        finally
        {
            invocation.Out.WriteLine("Producer thread finished");
            invocation.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Produced: {sent}"));
        }

        return ExitCode.Done;
    }

    private static async Task SendAsync(Invocation invocation, FabricClient client, Destination destination, Func<int> counted)
    {
        var token = invocation.CancellationToken;
        var options = new MessageOptions
        {
            Persistent = invocation.Get(Persistent),
            TimeToLive = TimeSpan.FromMilliseconds(invocation.Get(TimeToLive)),
            GroupId = invocation.Get(GroupId),
        };
        var (count, size, batch) = (invocation.Get(Count), invocation.Get(Size), invocation.Get(BatchSize));
        var sleep = TimeSpan.FromMilliseconds(invocation.Get(Sleep));
        var bytes = new byte[size];
        bytes.AsSpan().Fill((byte)'.');
        FabricTransaction? transaction = null;
        try
        {
            for (var i = 0; count == 0 || i < count; i++)
            {
                if (batch > 0)
                {
                    transaction ??= await client.BeginTransactionAsync(token).ConfigureAwait(false);
                }

                var text = string.Create(CultureInfo.InvariantCulture, $"test message: {i}");
                var receipt = (transaction, size) switch
                {
                    ({ } open, > 0) => await open.SendAsync(destination, bytes, options, token).ConfigureAwait(false),
                    ({ } open, _) => await open.SendAsync(destination, text, options, token).ConfigureAwait(false),
                    (null, > 0) => await client.SendAsync(destination, bytes, options, token).ConfigureAwait(false),
                    _ => await client.SendAsync(destination, text, options, token).ConfigureAwait(false),
                };
                counted();
                invocation.Out.WriteLine($"Sent: {(size > 0 ? receipt.MessageId : text)}");
                if (transaction is not null && ((i + 1) % batch == 0 || i + 1 == count))
                {
                    // The last, incomplete batch is committed too: nobody expects to lose it.
                    invocation.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Committing transaction: {i / batch}"));
                    await transaction.CommitAsync(token).ConfigureAwait(false);
                    transaction = null;
                }

                if (sleep > TimeSpan.Zero && i + 1 != count)
                {
                    await Task.Delay(sleep, invocation.Context.Runtime.Time, token).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            if (transaction is not null)
            {
                await transaction.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <exception cref="CliException">The number is larger.</exception>
    internal static void NotMore(Invocation invocation, Option<int> option, int most)
    {
        if (invocation.Get(option) > most)
        {
            throw new CliException(ExitCode.Usage, $"{option.Name} is {invocation.Get(option)}; it must be at most {most}");
        }
    }

    /// <exception cref="CliException">One of the numbers is negative.</exception>
    internal static void NotNegative(Invocation invocation, params Option<int>[] options)
    {
        foreach (var option in options.Where(option => invocation.Get(option) < 0))
        {
            throw new CliException(ExitCode.Usage, $"{option.Name} is {invocation.Get(option)}; it must not be negative");
        }
    }
}
