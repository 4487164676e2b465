using Fabric.Client;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.Client;

/// <summary>What a client says of its transactions, and whether it is so.</summary>
[TestFixture]
internal sealed class TransactionTests : TwoBrokersFixture
{
    [Test]
    public async Task A_commit_that_the_broker_confirmed_is_one_although_the_connection_ends_with_it()
    {
        for (var round = 0; round < 20; round++)
        {
            await using var transaction = await Client.BeginTransactionAsync();
            var sending = transaction.SendAsync("queue://Q", "x").AsTask();
            await using var connection = await (round % 2 == 0 ? One : Two).AcceptLoginAsync();
            await connection.RespondAsync(await connection.ReadUntilAsync<ActiveMQTextMessage>());
            await sending;
            var committing = transaction.CommitAsync().AsTask();
            var commit = await connection.ReadUntilAsync<TransactionInfo>();
            Assert.That(commit.Type, Is.EqualTo(TransactionOperation.CommitOnePhase));
            await connection.SendAsync(new Response { CorrelationId = commit.CommandId }, new ShutdownInfo());
            await committing;
        }
    }

    [Test]
    public async Task A_commit_waits_for_no_send_and_says_so()
    {
        await using var transaction = await Client.BeginTransactionAsync();
        var sending = transaction.SendAsync("queue://Q", "x").AsTask();
        await using var connection = await One.AcceptLoginAsync();
        var message = await connection.ReadUntilAsync<ActiveMQTextMessage>();
        Assert.That(async () => await transaction.CommitAsync(), Throws.InvalidOperationException);
        await connection.RespondAsync(message);
        await sending;
        var committing = transaction.CommitAsync().AsTask();
        await connection.RespondAsync(await connection.ReadUntilAsync<TransactionInfo>());
        await committing;
    }

    [Test]
    public async Task A_transaction_that_was_lost_with_its_connection_says_so_whatever_is_asked_of_it()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        var subscription = await first.ReadUntilAsync<ConsumerInfo>();
        await first.RespondAsync(subscription);
        await first.DispatchAsync(subscription, 1);
        await using var transaction = await Client.BeginTransactionAsync();
        await (await receiving).AcceptAsync(transaction);
        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        var again = await second.ReadUntilAsync<ConsumerInfo>();
        await second.RespondAsync(again);
        await second.DispatchAsync(again, 2);
        var other = await consumer.ReceiveAsync();
        Assert.That(async () => await transaction.SendAsync("queue://Q", "x"), Throws.TypeOf<TransactionRolledBackException>());
        Assert.That(async () => await other.AcceptAsync(transaction), Throws.TypeOf<TransactionRolledBackException>());
        Assert.That(async () => await transaction.CommitAsync(), Throws.TypeOf<TransactionRolledBackException>());
    }
}
