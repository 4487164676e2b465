using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Frame;
using Fabric.Client;

namespace Fabric.Cli.Commands;

/// <summary><c>consumer</c>: receives messages and prints them; the lines are those of A-MQ's <c>mq-client</c>.</summary>
internal static class ConsumerCommand
{
    private static readonly ClientOptions Client = new();
    private static readonly Option<int> Count = new("--count", "-n", "--messageCount", "--message-count")
    {
        Description = "Messages to receive; 0 goes on until interrupted.", HelpName = "N", DefaultValueFactory = _ => 100,
    };

    private static readonly Option<int> Sleep = new("--sleep") { Description = "Pause after each message, in milliseconds.", HelpName = "MS" };
    private static readonly Option<int> BatchSize = new("--batch-size", "--batchSize", "--transactionBatchSize", "--commit-interval")
    {
        Description = "Messages of a transaction; 0 for none.", HelpName = "N",
    };

    private static readonly Option<int> ReceiveTimeout = new("--receive-timeout")
    {
        Description = "Ends when no message came for this long, in milliseconds; 0 waits for ever.", HelpName = "MS",
    };

    public static Command Create(FabricCommandLine line)
    {
        var command = line.Create("consumer", "Receive messages.", [.. Client.All, Count, Sleep, BatchSize, ReceiveTimeout], RunAsync);
        command.Aliases.Add("mq-client-consumer");
        return command;
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        ProducerCommand.NotNegative(invocation, Count, Sleep, BatchSize, ReceiveTimeout);
        var destination = Client.DestinationOf(invocation);
        invocation.Out.WriteLine($"Using destination: {destination}, on broker: {Client.ShownUrlOf(invocation)}");
        await using var client = await Client.CreateAsync(invocation).ConfigureAwait(false);
        await ClientOptions.ConnectAsync(client, invocation).ConfigureAwait(false);
        await using var consumer = client.CreateConsumer<object?>(destination);
        await consumer.OpenAsync(invocation.CancellationToken).ConfigureAwait(false);
        var count = invocation.Get(Count);
        invocation.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Waiting for: {count} messages"));
        var received = 0;
        try
        {
            await ReceiveAsync(invocation, client, consumer, total => received = total).ConfigureAwait(false);
        }
        finally
        {
            invocation.Out.WriteLine("Consumer thread finished");
            invocation.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Consumed: {received} messages"));
        }

        return count == 0 || received == count
            ? ExitCode.Done
            : throw new CliException(ExitCode.Temporary, $"{received} of {count} messages came before --receive-timeout ended the waiting");
    }

    private static async Task ReceiveAsync(
        Invocation invocation, FabricClient client, FabricConsumer<object?> consumer, Action<int> counted)
    {
        var token = invocation.CancellationToken;
        var (count, batch) = (invocation.Get(Count), invocation.Get(BatchSize));
        var limit = invocation.Get(ReceiveTimeout) is > 0 and var milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : (TimeSpan?)null;
        var sleep = TimeSpan.FromMilliseconds(invocation.Get(Sleep));
        FabricTransaction? transaction = null;
        var received = 0;
        try
        {
            while (count == 0 || received < count)
            {
                var delivery = limit is { } wait
                    ? await consumer.TryReceiveAsync(wait, token).ConfigureAwait(false)
                    : await consumer.ReceiveAsync(token).ConfigureAwait(false);
                if (delivery is null)
                {
                    break;
                }

                await using (delivery)
                {
                    invocation.Out.WriteLine($"Received {(delivery.Body is string text ? text : delivery.Headers.MessageId)}");
                    if (batch > 0)
                    {
                        transaction ??= await client.BeginTransactionAsync(token).ConfigureAwait(false);
                        await delivery.AcceptAsync(transaction, token).ConfigureAwait(false);
                    }
                    else
                    {
                        await delivery.AcceptAsync(token).ConfigureAwait(false);
                    }
                }

                received++;
                counted(received);
                if (transaction is not null && received % batch == 0)
                {
                    transaction = await CommitAsync(invocation, transaction, (received / batch) - 1).ConfigureAwait(false);
                }

                if (sleep > TimeSpan.Zero)
                {
                    await Task.Delay(sleep, invocation.Context.Runtime.Time, token).ConfigureAwait(false);
                }
            }

            if (transaction is not null)
            {
                transaction = await CommitAsync(invocation, transaction, received / batch).ConfigureAwait(false);
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

    private static async Task<FabricTransaction?> CommitAsync(Invocation invocation, FabricTransaction transaction, int number)
    {
        invocation.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Committing transaction: {number}"));
        await transaction.CommitAsync(invocation.CancellationToken).ConfigureAwait(false);
        return null;
    }
}
