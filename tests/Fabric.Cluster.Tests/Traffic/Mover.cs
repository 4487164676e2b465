using Fabric.Client;
using Fabric.Oracles;

namespace Fabric.Cluster.Tests.Traffic;

/// <summary>Our client, moving messages from one queue to another in transactions: each becomes a new message of this producer.</summary>
internal sealed class Mover : IAsyncDisposable
{
    private const int MessagesMax = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(50);

    private readonly History _history;
    private readonly string _name;
    private readonly string _from;
    private readonly string _to;
    private readonly TimeSpan _idle;
    private readonly FabricClient _client;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _moving;
    private long _next;
    private int _transactions;

    /// <param name="history">Told what it does.</param>
    /// <param name="url">Where it connects.</param>
    /// <param name="name">The consumer, and the producer.</param>
    /// <param name="from">The queue that it empties.</param>
    /// <param name="to">The queue that it fills.</param>
    /// <param name="idle">How long nothing must come before it ends, once it was asked to.</param>
    public Mover(History history, string url, string name, string from, string to, TimeSpan idle)
    {
        (_history, _name, _from, _to, _idle) = (history, name, from, to, idle);
        _client = new FabricClient(url, new FabricClientOptions { UserName = "admin", Password = "admin" });
        _moving = Task.Run(MoveAsync);
    }

    public int Committed { get; private set; }

    /// <summary>Lets it move what is left, and ends it.</summary>
    public async Task FinishAsync()
    {
        await _stop.CancelAsync();
        await _moving;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _client.DisposeAsync();
        await _moving;
        _stop.Dispose();
    }

    private async Task MoveAsync()
    {
        try
        {
            await using var consumer = _client.CreateConsumer<string>(Destination.Queue(_from));
            while (true)
            {
                var last = _stop.IsCancellationRequested;
                if (await consumer.TryReceiveAsync(last ? _idle : TimeSpan.FromSeconds(1)) is { } first)
                {
                    await MoveSomeAsync(consumer, first);
                }
                else if (last)
                {
                    return;
                }
            }
        }
        catch (Exception exception) when (_stop.IsCancellationRequested && exception is ObjectDisposedException or FabricException)
        {
            // Disposed by a test that failed already.
        }
    }

    private async Task MoveSomeAsync(FabricConsumer<string> consumer, Delivery<string> first)
    {
        var name = $"{_name} transaction {_transactions++}";
        List<MessageIdentity> taken = [];
        var isCommitting = false;
        try
        {
            await using var transaction = await _client.BeginTransactionAsync();
            for (var delivery = first; delivery is not null;
                delivery = taken.Count < MessagesMax ? await consumer.TryReceiveAsync(Patience) : null)
            {
                taken.Add(Received(delivery));
                _history.AcknowledgeAttempted(_name, taken[^1], Texts.Now, name);
                await delivery.AcceptAsync(transaction);
                await SendAsync(transaction, name);
            }

            isCommitting = true;
            _history.CommitAttempted(name, Texts.Now);
            await transaction.CommitAsync();
            _history.Committed(name, Texts.Now);
            Committed++;
        }
        catch (FabricException) when (isCommitting)
        {
            _history.CommitUnknown(name, Texts.Now);
        }
        catch (FabricException)
        {
            _history.Aborted(name, Texts.Now);
        }
    }

    private MessageIdentity Received(Delivery<string> delivery)
    {
        var message = Texts.IdentityOf(delivery.Body);
        _history.Delivered(
            _name, message, _from, BodyHash.Of(delivery.Body), Texts.Now, delivery.DeliveryCount > 1, delivery.DeliveryCount - 1);
        return message;
    }

    private async Task SendAsync(FabricTransaction transaction, string name)
    {
        var message = new MessageIdentity(_name, _next++);
        var text = Texts.Of(message);
        _history.SendAttempted(message, _to, BodyHash.Of(text), Texts.Now, name);
        await transaction.SendAsync(Destination.Queue(_to), text);
        _history.SendConfirmed(message, Texts.Now);
    }
}
