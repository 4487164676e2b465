using Fabric.Broker;
using Fabric.Replication;
using Fabric.Runtime;
using Fabric.Runtime.Network;
using Fabric.Server.Connections;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>
/// Opens a broker to clients while its replica is master, and closes it when it is not. Clients are told where it is only when they can
/// connect, and are told otherwise before they cannot any more.
/// </summary>
/// <param name="runtime">The network.</param>
/// <param name="broker">What is served.</param>
/// <param name="advisories">Tell clients what comes and goes; they belong to the broker and begin anew with each mastership.</param>
/// <param name="presence">Where clients look for it.</param>
/// <param name="openWire">The connector.</param>
/// <param name="advertisedHost">The host of the URL that clients are told.</param>
/// <param name="logger">Told about openings and closings.</param>
/// <param name="changed">Told when <see cref="Failure"/> or <see cref="Services"/> have changed; quick.</param>
internal sealed class BrokerHost(
    FabricRuntime runtime,
    MessageBroker broker,
    Advisories advisories,
    IBrokerPresence presence,
    OpenWireOptions openWire,
    string advertisedHost,
    ILogger logger,
    Action changed)
    : IBrokerHost, IAsyncDisposable
{
    /// <summary>How long clients' discovery may keep us from closing: it is a courtesy to them, and the next master waits for us.</summary>
    private static readonly TimeSpan WithdrawLimit = TimeSpan.FromMilliseconds(50);

    /// <summary>How long clients are held for a successor: longer than a hand-over takes, and short against their own time limits.</summary>
    private static readonly TimeSpan SuccessorLimit = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource<IJournal> _journal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private INetworkListener? _door; // bound, nobody is let in; touched by the replica's calls only, one at a time
    private volatile OpenWireListener? _listener;
    private volatile string? _service;
    private Task _cutting = Task.CompletedTask;

    /// <summary>Where clients connect; empty unless open.</summary>
    public IReadOnlyList<string> Services => _service is { } service ? [service] : [];

    /// <summary>Client connections.</summary>
    public int Connections => _listener?.ConnectionCount ?? 0;

    /// <summary>Why the connectors could not be opened the last time they should have been; null when they could.</summary>
    public string? Failure { get; private set; }

    /// <summary>The journal, known only once the replica has opened it.</summary>
    public void Use(IJournal journal) => _journal.TrySetResult(journal);

    /// <inheritdoc/>
    public void Prepare()
    {
        try
        {
            _door ??= runtime.Network.Listen(openWire.Host, openWire.Port);
        }
        catch (IOException exception)
        {
            logger.LogDebug("The port of {Broker} is not open yet: {Reason}", openWire.BrokerName, exception.Message); // to serve will be tried all the same
        }
    }

    /// <inheritdoc/>
    public async Task ServeAsync(Epoch epoch, Position epochStart, CancellationToken cancellationToken)
    {
        var journal = await _journal.Task.WaitAsync(cancellationToken);
        advisories.Start(broker, broker.GetStatistics().Select(figures => figures.Name));
        broker.StartServing(journal, epoch, epochStart);
        try
        {
            _listener = OpenWireListener.Start(runtime, openWire, broker, logger, _door ?? runtime.Network.Listen(openWire.Host, openWire.Port));
            (_door, Failure) = (null, null);
        }
        catch (IOException exception)
        {
            Failure = exception.Message;
            broker.StopServing();
            changed();
            throw;
        }

        var service = $"tcp://{advertisedHost}:{_listener.Port}";
        _service = service;
        presence.Publish([service], epoch);
        changed();
        logger.LogInformation("{Broker} serves clients at {Service} in epoch {Epoch}", openWire.BrokerName, service, epoch);
    }

    /// <inheritdoc/>
    public async Task StopServingAsync(string reason, bool handsOver)
    {
        if (_door is { } door)
        {
            _door = null;
            await door.DisposeAsync();
        }

        if (_listener is null && !broker.IsServing)
        {
            return; // clients could wait, and no more
        }

        _service = null;
        var withdrawing = WithdrawAsync();
        if (!handsOver)
        {
            await withdrawing;
        }

        broker.StopServing(); // from here on nothing is answered, so that clients resend to the next master
        if (_listener is { } listener)
        {
            _listener = null;
            logger.LogInformation("{Broker} serves clients no more: {Reason}", openWire.BrokerName, reason);
            _cutting = CutAsync(listener, withdrawing, handsOver);
            if (!handsOver)
            {
                await _cutting;
            }
        }
    }

    /// <summary>Waits until the clients of the last mastership are cut.</summary>
    public ValueTask DisposeAsync() => new(_cutting);

    /// <summary>
    /// Cuts the clients: in a hand-over when the next master serves. A client that is cut earlier finds nobody and waits longer after each
    /// attempt, so that its pause is about twice the hand-over.
    /// </summary>
    private async Task CutAsync(OpenWireListener listener, Task withdrawing, bool handsOver)
    {
        try
        {
            if (handsOver)
            {
                await withdrawing;
                await listener.StopAcceptingAsync();
                using var limit = new CancellationTokenSource(SuccessorLimit, runtime.Time);
                await presence.WaitForSuccessorAsync(limit.Token);
            }
        }
        catch (Exception exception)
        {
            logger.LogInformation("{Broker} has no other master yet; its clients look for one: {Reason}", openWire.BrokerName, exception.Message);
        }
        finally
        {
            await listener.DisposeAsync();
        }
    }

    private async Task WithdrawAsync()
    {
        try
        {
            await presence.WithdrawAsync().WaitAsync(WithdrawLimit, runtime.Time);
        }
        catch (Exception exception)
        {
            // Whatever is wrong with the registry: the clients that are here must be let go of. Those that come meanwhile wait, and are cut with them.
            logger.LogInformation("{Broker} may still be listed here: {Reason}", openWire.BrokerName, exception.Message);
        }
    }
}

/// <summary>Where clients look for a broker.</summary>
internal interface IBrokerPresence : IAsyncDisposable
{
    /// <summary>Tells clients where to connect, from now on and over lost sessions. Returns at once.</summary>
    /// <param name="services">At least one URL.</param>
    /// <param name="epoch">On whose behalf.</param>
    void Publish(IReadOnlyList<string> services, Epoch epoch);

    /// <summary>Tells them that this is no place to connect. Ends when the registry has it.</summary>
    Task WithdrawAsync();

    /// <summary>Waits until clients can find another master of the broker.</summary>
    /// <exception cref="OperationCanceledException">The token fired first.</exception>
    Task WaitForSuccessorAsync(CancellationToken cancellationToken);
}
