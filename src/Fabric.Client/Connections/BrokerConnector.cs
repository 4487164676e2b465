using Fabric.Protocols;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Connections;

/// <summary>
/// Finds a broker that answers: goes round the list until one does. An address that neither refuses nor answers within a
/// moment (a host that is down, a process that is stopped) does not hold up the others: they are tried beside it, and the first
/// that shows itself to be a broker is taken.
/// </summary>
internal sealed partial class BrokerConnector(
    FabricRuntime runtime, ClientUrl url, BrokerList brokers, ConnectionInfo login, ILogger logger)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LoginTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Connects and logs in.</summary>
    /// <param name="isFirst">False when a connection is being made again.</param>
    /// <param name="cancellationToken">Ends the attempts.</param>
    /// <exception cref="FabricSecurityException">A broker refuses user or password: no use in trying again.</exception>
    /// <exception cref="FabricException">A broker refuses the client id.</exception>
    /// <exception cref="FabricConnectionException">As many rounds failed as the options allow.</exception>
    public async Task<OpenWireTransport> ConnectAsync(bool isFirst, CancellationToken cancellationToken)
    {
        var backOff = new ReconnectBackOff(url.Failover);
        var start = runtime.Time.GetTimestamp();
        if (!isFirst && url.Failover.GetRoundsMax(isFirst) == 0)
        {
            throw new FabricConnectionException($"the connection to {url} is lost, and maxReconnectAttempts=0 allows no other");
        }

        for (var round = 1; ; round++)
        {
            var (transport, failure) = await TryRoundAsync(isFirst, cancellationToken).ConfigureAwait(false);
            if (transport is not null)
            {
                return transport;
            }

            var roundsMax = url.Failover.GetRoundsMax(isFirst);
            if (roundsMax >= 0 && round >= roundsMax)
            {
                throw new FabricConnectionException($"cannot connect to {url}: {failure.Message}", failure);
            }

            var outage = runtime.Time.GetElapsedTime(start);
            if (url.Failover.WarnAfterReconnectAttempts > 0 && round % url.Failover.WarnAfterReconnectAttempts == 0)
            {
                LogStillTrying(url.Text, round, outage.TotalSeconds, failure.Message);
            }

            await brokers.WaitAsync(backOff.Next(roundsMax < 0 ? outage : null), runtime.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<(OpenWireTransport? Transport, Exception Failure)> TryRoundAsync(
        bool isFirst, CancellationToken cancellationToken)
    {
        var remaining = new Queue<BrokerAddress>(brokers.CreateRound(url.Failover.Randomize, runtime.Random));
        Exception failure = new IOException(url.Discovery is { } discovery
            ? $"no broker of group '{discovery.Group}' is registered"
            : "there is no broker to connect to");
        while (remaining.Count > 0)
        {
            OpenWireTransport transport;
            try
            {
                transport = await RaceAsync(remaining, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or ProtocolException)
            {
                return (null, exception);
            }

            try
            {
                login.FailoverReconnect = !isFirst;
                login.FaultTolerant = url.Reconnects;
                await transport.LoginAsync(
                    login, url.Reconnects, url.Jms.ConnectResponseTimeout ?? LoginTimeout, cancellationToken).ConfigureAwait(false);
                return (transport, failure);
            }
            catch (Exception exception)
            {
                await transport.DisposeAsync().ConfigureAwait(false);
                failure = JudgeLogin(exception, transport.Address, isFirst);
            }
        }

        return (null, failure);
    }

    /// <summary>The failure of one broker, after which the next may be tried; throws when none would be better.</summary>
    private Exception JudgeLogin(Exception exception, BrokerAddress address, bool isFirst)
    {
        switch (exception)
        {
            case BrokerErrorException refusal:
                var translated = BrokerErrorException.Translate(refusal.Error);
                var isClientId = translated.Reason?.EndsWith("InvalidClientIDException", StringComparison.Ordinal) == true;
                if (translated is FabricSecurityException || (isClientId && isFirst) || !url.Reconnects)
                {
                    throw translated;
                }

                LogRefused(address.ToString(), translated.Message);
                return translated;
            case IOException or ProtocolException:
                LogUnreachable(address.ToString(), exception.Message);
                return exception;
            default:
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(exception);
                return exception;
        }
    }

    /// <summary>Takes addresses off the queue until one of them answers.</summary>
    private async Task<OpenWireTransport> RaceAsync(Queue<BrokerAddress> remaining, CancellationToken cancellationToken)
    {
        using var losers = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var attempts = new List<Task<OpenWireTransport>>();
        Exception? failure = null;
        try
        {
            while (remaining.Count > 0 || attempts.Count > 0)
            {
                if (remaining.TryDequeue(out var address))
                {
                    attempts.Add(OpenWireTransport.ConnectAsync(runtime, address, losers.Token));
                }

                var finished = await NextAsync(attempts, remaining.Count > 0, losers.Token).ConfigureAwait(false);
                if (finished is null)
                {
                    continue;
                }

                attempts.Remove(finished);
                try
                {
                    return await finished.ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is IOException or ProtocolException)
                {
                    failure = exception;
                    LogUnreachable(url.Text, exception.Message);
                }
            }

            throw failure ?? new IOException("there is no broker to connect to");
        }
        finally
        {
            await losers.CancelAsync().ConfigureAwait(false);
            foreach (var attempt in attempts)
            {
                _ = DiscardAsync(attempt);
            }
        }
    }

    /// <summary>The attempt that ended, or null when patience is over and another address may be tried beside.</summary>
    private async Task<Task<OpenWireTransport>?> NextAsync(
        List<Task<OpenWireTransport>> attempts, bool hasMore, CancellationToken cancellationToken)
    {
        var any = Task.WhenAny(attempts);
        if (!hasMore)
        {
            return await any.ConfigureAwait(false);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var patience = Task.Delay(Patience, runtime.Time, stop.Token);
        var first = await Task.WhenAny(any, patience).ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return first == any ? await any.ConfigureAwait(false) : null;
    }

    private static async Task DiscardAsync(Task<OpenWireTransport> attempt)
    {
        try
        {
            await using var transport = await attempt.ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or ProtocolException or OperationCanceledException)
        {
            // It lost the race; how is of no interest.
        }
    }

    [LoggerMessage(EventId = 1010, Level = LogLevel.Debug, Message = "No connection to {Address}: {Reason}")]
    private partial void LogUnreachable(string address, string reason);

    [LoggerMessage(EventId = 1011, Level = LogLevel.Warning, Message = "{Address} refuses the connection: {Reason}")]
    private partial void LogRefused(string address, string reason);

    [LoggerMessage(EventId = 1012, Level = LogLevel.Warning, Message = "No connection to {Url} after {Rounds} rounds and {Seconds:0.0} s, last reason: {Reason}")]
    private partial void LogStillTrying(string url, int rounds, double seconds, string reason);
}
