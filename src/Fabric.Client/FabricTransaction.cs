using Fabric.Client.Connections;
using Fabric.Client.Producers;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client;

/// <summary>
/// A local transaction: what is sent through it and the deliveries accepted with it take effect together at
/// <see cref="CommitAsync"/>, or not at all. Not for several tasks at a time. Disposing it without a commit rolls it back.
/// </summary>
/// <remarks>
/// A transaction that has only sent survives a reconnection before its commit. One that has accepted deliveries does not, because
/// the broker takes those back, and one whose commit was under way when the connection broke has an unknown outcome: both end with
/// <see cref="TransactionRolledBackException"/>.
/// </remarks>
public sealed class FabricTransaction : IAsyncDisposable
{
    private readonly FabricClient _client;
    private readonly FailoverConnection _connection;
    private int _hasEnded;

    internal FabricTransaction(FabricClient client, FailoverConnection connection, TransactionCore core)
    {
        _client = client;
        _connection = connection;
        Core = core;
    }

    internal TransactionCore Core { get; }

    /// <summary>
    /// Sends a message that nobody sees before the commit. Completes when the broker has taken it; await it before the commit.
    /// </summary>
    /// <exception cref="FabricException">The broker refused the message; the transaction can only be rolled back.</exception>
    /// <exception cref="InvalidOperationException">The transaction has ended.</exception>
    public ValueTask<SendReceipt> SendAsync<T>(
        Destination to, T body, MessageOptions? options = null, CancellationToken cancellationToken = default) =>
        _client.SendAsync(Core, to, body, options, cancellationToken);

    /// <summary>Makes everything take effect. Once begun, it is not cancelled: half a commit is none.</summary>
    /// <exception cref="TransactionRolledBackException">
    /// It did not, or, when the connection broke during the commit, it is not known.
    /// </exception>
    /// <exception cref="InvalidOperationException">The transaction has ended, or a send was not awaited.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (Core.Failure is null)
        {
            _connection.ThrowIfIncomplete(Core);
        }

        MarkEnded();
        if (Core.Failure is { } failure)
        {
            await EndAsync(TransactionOperation.Rollback).ConfigureAwait(false);
            throw new TransactionRolledBackException($"the transaction was rolled back: {failure.Message}", failure);
        }

        try
        {
            await EndAsync(TransactionOperation.CommitOnePhase).ConfigureAwait(false);
        }
        catch (FabricException exception) when (exception is not FabricSecurityException)
        {
            throw exception as TransactionRolledBackException
                ?? new TransactionRolledBackException($"the transaction did not commit: {exception.Message}", exception)
                {
                    Reason = exception.Reason,
                };
        }
    }

    /// <summary>Undoes everything: what was sent vanishes, what was accepted is delivered again.</summary>
    /// <exception cref="InvalidOperationException">The transaction has ended.</exception>
    public async ValueTask RollbackAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        MarkEnded();
        await EndAsync(TransactionOperation.Rollback).ConfigureAwait(false);
    }

    /// <summary>Rolls back unless the transaction has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _hasEnded, 1) != 0)
        {
            return;
        }

        try
        {
            await EndAsync(TransactionOperation.Rollback).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is FabricException or ObjectDisposedException)
        {
            // The connection is lost, and with it the transaction: rolled back all the same.
        }
    }

    private void MarkEnded()
    {
        if (Interlocked.Exchange(ref _hasEnded, 1) != 0)
        {
            throw new InvalidOperationException("the transaction has ended");
        }
    }

    private async Task EndAsync(TransactionOperation how)
    {
        var isCommitted = false;
        try
        {
            var request = _connection.End(Core, how);
            if (request is not null)
            {
                await request.Done.ConfigureAwait(false);
            }

            // What the broker has confirmed is so, whatever failed since. Without a request the transaction was empty, or lost.
            isCommitted = how == TransactionOperation.CommitOnePhase && (request is not null || Core.Failure is null);
        }
        catch (FabricConnectionException) when (how == TransactionOperation.Rollback)
        {
            // The broker rolls back what it loses the connection of.
        }
        finally
        {
            _connection.Release(Core);
            Settle(isCommitted);
        }

        if (how == TransactionOperation.CommitOnePhase && !isCommitted)
        {
            throw new TransactionRolledBackException(
                $"the transaction was rolled back: {Core.Failure?.Message}", Core.Failure);
        }
    }

    private void Settle(bool isCommitted)
    {
        foreach (var group in Core.Accepts.GroupBy(accept => accept.Consumer, accept => accept.Message))
        {
            if (!isCommitted)
            {
                group.Key.RolledBack([.. group]);
                continue;
            }

            foreach (var message in group)
            {
                group.Key.Committed(message);
            }
        }
    }
}
