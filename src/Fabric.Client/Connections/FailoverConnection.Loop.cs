using Fabric.Client.Consumers;
using Fabric.Client.Producers;
using Fabric.Protocols.OpenWire.Commands;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Connections;

/// <summary>Connecting, losing the connection, connecting again, and the end.</summary>
internal sealed partial class FailoverConnection
{
    private static readonly TimeSpan TimeoutResolution = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan FinishLimit = TimeSpan.FromSeconds(2);

    private bool _wasConnected;
    private Task _timeouts = Task.CompletedTask;

    /// <summary>
    /// Closes in order: what was sent before is confirmed before, as far as the broker answers within the close timeout. Then whatever
    /// still waits fails.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        List<ConsumerCore> consumers;
        lock (_gate)
        {
            if (_state == ConnectionState.Closed)
            {
                return;
            }

            consumers = [.. _consumers.Values];
        }

        foreach (var consumer in consumers)
        {
            consumer.Close();
        }

        var isPolite = await SayGoodbyeAsync().ConfigureAwait(false);
        Task? loop;
        OpenWireTransport? transport;
        lock (_gate)
        {
            _state = ConnectionState.Closed;
            loop = _loop;
            transport = _transport;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        if (isPolite && transport is not null)
        {
            await transport.FinishAsync(FinishLimit).ConfigureAwait(false);
        }

        transport?.Abort(new ObjectDisposedException(nameof(FabricClient)));
        if (loop is not null)
        {
            await loop.ConfigureAwait(false);
        }

        FailEverything(new ObjectDisposedException(nameof(FabricClient)), isFinal: true);
        await _timeouts.ConfigureAwait(false);
        if (_discovery is not null)
        {
            await _discovery.DisposeAsync().ConfigureAwait(false);
        }

        await _notices.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>Starts connecting at the first use, and again after a first attempt that failed.</summary>
    private void EnsureStarted()
    {
        ThrowIfUnusable();
        if (_loop is not null)
        {
            return;
        }

        _state = ConnectionState.Connecting;
        _loop = _runtime.Scheduler.Start("client connection", RunAsync);
        if (_timeouts.IsCompleted && TimesSendsOut)
        {
            _timeouts = _runtime.Scheduler.Start("client send timeouts", WatchTimeoutsAsync);
        }
    }

    private async Task RunAsync()
    {
        try
        {
            _discovery?.Start(_stop.Token);
            while (true)
            {
                var lostAt = _runtime.Time.GetTimestamp();
                var transport = await _connector.ConnectAsync(!_wasConnected, _stop.Token).ConfigureAwait(false);
                if (!Attach(transport, _runtime.Time.GetElapsedTime(lostAt)))
                {
                    await transport.DisposeAsync().ConfigureAwait(false);
                    return;
                }

                var cause = await transport.Completion.ConfigureAwait(false);
                Detach(transport, cause);
                await transport.DisposeAsync().ConfigureAwait(false);
                _stop.Token.ThrowIfCancellationRequested();
                if (!_url.Reconnects)
                {
                    throw new FabricConnectionException($"the connection to {transport.Address} broke: {cause.Message}", cause);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The client is being closed, which completes what is left.
        }
        catch (Exception exception)
        {
            FailEverything(exception, isFinal: _wasConnected || exception is not FabricConnectionException);
        }
    }

    /// <summary>Tells a new broker everything, in the order of reference §4.23.</summary>
    /// <returns>False when the client was closed meanwhile.</returns>
    private bool Attach(OpenWireTransport transport, TimeSpan outage)
    {
        var retried = 0;
        bool isResumption;
        BrokerIdentity broker;
        transport.Start(this);
        lock (_gate)
        {
            if (_state == ConnectionState.Closed)
            {
                return false;
            }

            isResumption = _wasConnected;
            _wasConnected = true;
            _transport = transport;
            _state = ConnectionState.Connected;
            broker = new BrokerIdentity(transport.BrokerName ?? "", transport.Address.ToString());
            _broker = broker;
            foreach (var temporary in _temporaries)
            {
                Post(CreateInfo(temporary));
            }

            Post(new SessionInfo { SessionId = SessionId });
            foreach (var producer in _producers)
            {
                Post(producer.CreateInfo());
            }

            foreach (var consumer in _consumers.Values)
            {
                Subscribe(consumer);
            }

            RestoreTransactions();
            retried = SendPendingAgain();
            _connected.TrySetResult();
            transport.Wake();
        }

        LogConnected(isResumption ? "Reconnected" : "Connected", broker.Name, broker.Uri, retried);
        if (isResumption)
        {
            _notices.Add(new ConnectionResumed(broker, outage, retried));
        }

        return true;
    }

    private void RestoreTransactions()
    {
        foreach (var transaction in _transactions)
        {
            Register(transaction.Producer);
            Post(new TransactionInfo { ConnectionId = Id, TransactionId = transaction.Id, Type = TransactionOperation.Begin });
            foreach (var message in transaction.Sends)
            {
                // Those that wait for their turn were never written and come when it is theirs.
                if (message.CommandId != 0)
                {
                    Post(message);
                }
            }
        }
    }

    private int SendPendingAgain()
    {
        var retried = 0;
        foreach (var command in _pending.Values.Where(IsSentAgain).OrderBy(command => command.Order).ToList())
        {
            if (command is OutgoingMessage message)
            {
                if (message.IsFinished && !message.WasWritten)
                {
                    // Cancelled before any broker saw it.
                    _pending.Remove(message.CommandId);
                    _inFlight--;
                    continue;
                }

                retried += message.WasWritten ? 1 : 0;
                Register(message.Producer);
            }

            Post(command.Frame);
        }

        AdmitWaiting();
        return retried;

        // What a transaction has sent went before it; of the rest, what is forgotten or fails on a loss is not here any more, unless it
        // was never written: then this is its first time.
        static bool IsSentAgain(PendingCommand command) =>
            command.AfterLoss != AfterLoss.Forget && command is not OutgoingMessage { Transaction: not null };
    }

    /// <summary>Forgets what belonged to the lost transport. Its loops have ended, so nothing of it comes any more.</summary>
    private void Detach(OpenWireTransport transport, Exception cause)
    {
        List<PendingCommand> failed = [];
        List<TransactionCore> lost = [];
        List<ConsumerCore> consumers;
        BrokerIdentity? broker;
        var rolledBack = new TransactionRolledBackException($"the connection broke during the transaction: {cause.Message}", cause);
        lock (_gate)
        {
            _transport = null;
            _lostAt = _runtime.Time.GetTimestamp();
            _outgoing.Clear();
            _acknowledgers.Clear();
            _state = _state == ConnectionState.Closed ? ConnectionState.Closed : ConnectionState.Reconnecting;
            _connected = NewSource();
            broker = _broker;
            _brokers.PutLast(transport.Address);
            foreach (var command in _pending.Values.Where(command => command.AfterLoss != AfterLoss.SendAgain).ToList())
            {
                _pending.Remove(command.CommandId);
                if (command.AfterLoss == AfterLoss.FailIfWritten)
                {
                    failed.Add(command);
                }
            }

            foreach (var transaction in _transactions.Where(transaction => transaction.HasEnded || transaction.Accepts.Count > 0).ToList())
            {
                lost.Add(transaction);
                transaction.HasEnded = true;
                transaction.SendFailed(rolledBack); // at once: a commit that comes now must not take it for one that had nothing to do
                Forget(transaction);
            }

            consumers = [.. _consumers.Values];
        }

        foreach (var transaction in lost)
        {
            foreach (var message in transaction.Sends)
            {
                message.Fail(rolledBack);
            }
        }

        foreach (var command in failed)
        {
            command.Fail(new FabricConnectionException($"the connection broke before the answer: {cause.Message}", cause));
        }

        foreach (var consumer in consumers)
        {
            consumer.ConnectionLost();
        }

        if (!_stop.IsCancellationRequested && _url.Reconnects)
        {
            LogInterrupted(transport.Address.ToString(), cause.Message);
            _notices.Add(new ConnectionInterrupted(broker!, cause));
        }
    }

    /// <summary>The end, or the end of a first attempt: everybody who waits learns why.</summary>
    private void FailEverything(Exception cause, bool isFinal)
    {
        List<PendingCommand> pending;
        List<OutgoingMessage> waiting;
        List<ConsumerCore> consumers;
        TaskCompletionSource connected;
        lock (_gate)
        {
            pending = [.. _pending.Values];
            waiting = [.. _waiting];
            consumers = [.. _consumers.Values];
            connected = _connected;
            _consumers.Clear(); // they fail, and no later connection is to be told of them
            _pending.Clear();
            _waiting.Clear();
            _outgoing.Clear();
            _inFlight = 0;
            _connected = NewSource();
            if (isFinal)
            {
                _failure ??= cause;
                _state = _state == ConnectionState.Closed ? ConnectionState.Closed : ConnectionState.Failed;
            }
            else
            {
                _state = ConnectionState.Disconnected;
                _loop = null;
            }
        }

        connected.TrySetException(cause);
        foreach (var command in pending)
        {
            command.Fail(command is OutgoingMessage { WasWritten: true } ? Unknown(cause) : cause);
        }

        foreach (var message in waiting)
        {
            message.Fail(cause);
        }

        foreach (var consumer in consumers)
        {
            consumer.Fail(cause);
        }
    }

    private static SendOutcomeUnknownException Unknown(Exception cause) =>
        new($"the connection ended before the broker confirmed the message: {cause.Message}", cause);

    /// <returns>True when the broker has answered, which means that it has dealt with everything before.</returns>
    private async Task<bool> SayGoodbyeAsync()
    {
        lock (_gate)
        {
            if (_transport is null)
            {
                return false;
            }

            // What waits for its turn was sent before, too.
            while (_waiting.TryDequeue(out var next))
            {
                if (!next.IsFinished)
                {
                    Admit(next);
                }
            }
        }

        using var limit = new CancellationTokenSource(_url.Jms.CloseTimeout, _runtime.Time);
        try
        {
            await RequestAsync(
                new RemoveInfo { ObjectId = Id, LastDeliveredSequenceId = -1 }, AfterLoss.FailIfWritten, limit.Token).ConfigureAwait(false);
            PostCommand(new ShutdownInfo());
            return true;
        }
        catch (Exception exception) when (exception is FabricException or OperationCanceledException or ObjectDisposedException)
        {
            LogUnfriendlyClose(exception.Message);
            return false;
        }
    }

    /// <summary>Fails sends that have waited longer than the options allow.</summary>
    private async Task WatchTimeoutsAsync()
    {
        using var timer = new PeriodicTimer(TimeoutResolution, _runtime.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                FailOverdueSends();
            }
        }
        catch (OperationCanceledException)
        {
            // The client is being closed.
        }
    }

    private void FailOverdueSends()
    {
        List<(OutgoingMessage Message, TimeSpan Limit)> overdue = [];
        lock (_gate)
        {
            foreach (var message in _pending.Values.OfType<OutgoingMessage>().Concat(_waiting).Where(message => !message.IsFinished))
            {
                if (_url.Jms.SendTimeout is { } limit && _runtime.Time.GetElapsedTime(message.StartedAt) > limit)
                {
                    overdue.Add((message, limit));
                }
                else if (_transport is null && _url.Failover.SendTimeout is { } unconnected
                    && _runtime.Time.GetElapsedTime(Math.Max(message.StartedAt, _lostAt)) > unconnected)
                {
                    overdue.Add((message, unconnected)); // failover's timeout is about the time without a connection
                }
            }
        }

        foreach (var (message, limit) in overdue)
        {
            message.Fail(message.WasWritten
                ? new SendOutcomeUnknownException($"no confirmation within {limit.TotalSeconds:0.###} s")
                : new FabricConnectionException($"no connection to {_url} within {limit.TotalSeconds:0.###} s"));
        }
    }

    [LoggerMessage(EventId = 1001, Level = LogLevel.Information, Message = "{What} to {Broker} at {Uri}, {Retried} sends repeated")]
    private partial void LogConnected(string what, string broker, string uri, int retried);

    [LoggerMessage(EventId = 1002, Level = LogLevel.Warning, Message = "The connection to {Address} broke, reconnecting: {Reason}")]
    private partial void LogInterrupted(string address, string reason);

    [LoggerMessage(EventId = 1003, Level = LogLevel.Debug, Message = "The connection was closed without the broker's answer: {Reason}")]
    private partial void LogUnfriendlyClose(string reason);
}
