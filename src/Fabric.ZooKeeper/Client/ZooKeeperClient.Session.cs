using System.Buffers;
using Fabric.Runtime.Network;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Client;

/// <summary>The loop that keeps the session attached to one server after the other (reference §2.2 to §2.5).</summary>
public sealed partial class ZooKeeperClient
{
    private static readonly TimeSpan BackOffMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BackOffMax = TimeSpan.FromSeconds(5);

    /// <summary>A connection that ended sooner counts as an attempt that failed; else two servers that drop us would be a busy loop.</summary>
    private static readonly TimeSpan StableMin = TimeSpan.FromSeconds(1);

    /// <summary>Upper limit of the random wait after a lost connection, which spreads the clients of a server that died over the others.</summary>
    private static readonly TimeSpan SpreadMax = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How many of its timeouts a session may be turned away by servers that are there before it is given up. No server that goes on would still have it; and one
    /// that was wiped, or restored from an old backup, takes back no client that has seen more than it has, but a new session it takes.
    /// </summary>
    private const int TurnedAwayTimeouts = 2;

    /// <summary>What a server has at least for its answer before there is a session.</summary>
    private static readonly TimeSpan FirstConnectLimitMin = TimeSpan.FromSeconds(1);

    /// <summary>Attempts that a session's timeout is long enough for.</summary>
    private const int AttemptsMin = 3;

    private TimeSpan _attachedUntil; // owned by the loop

    private bool IsEnding
    {
        get
        {
            lock (_gate)
            {
                return _final is not null || _close is not null;
            }
        }
    }

    private async Task RunAsync()
    {
        var hosts = _servers.Hosts.ToArray();
        _runtime.Random.Shuffle(hosts);
        var (next, failures) = (0, 0);
        try
        {
            while (!IsEnding)
            {
                var (host, port) = hosts[next];
                next = (next + 1) % hosts.Length;
                var held = await TryAttachAsync(host, port);
                if (IsEnding)
                {
                    break;
                }

                if (held >= StableMin)
                {
                    failures = 0;
                    await SpreadAsync();
                }
                else if (++failures % hosts.Length == 0)
                {
                    await BackOffAsync(failures / hosts.Length);
                }
            }
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            // Closed by its owner.
        }
        catch (Exception exception)
        {
            _logger.LogCritical(exception, "The ZooKeeper session failed");
            _cause = exception;
        }

        End(ZooKeeperError.SessionExpired, KeeperState.Closed);
        _events.Writer.TryComplete();
    }

    /// <summary>
    /// How long one server may take for its answer: its share of the timeout, and never so long that a session could not be saved by
    /// further attempts (a server of Apache's that is just starting sometimes leaves one without an answer). Before there is a session
    /// none can be lost, and the timeout that was asked for may be shorter than any server needs.
    /// </summary>
    private TimeSpan ConnectLimit => SessionId == 0
        ? TimeSpan.FromTicks(Math.Max(FirstConnectLimitMin.Ticks, NegotiatedSessionTimeout.Ticks / Math.Max(_servers.Hosts.Count, 1)))
        : NegotiatedSessionTimeout / Math.Max(_servers.Hosts.Count, AttemptsMin);

    private Task SpreadAsync() => Task.Delay(
        TimeSpan.FromTicks(Math.Min(SpreadMax.Ticks, NegotiatedSessionTimeout.Ticks / 10)) * _runtime.Random.NextDouble(),
        _runtime.Time,
        _closing.Token);

    /// <summary>A lap over all servers found none: wait, longer each time, but never so long that the session is lost by it.</summary>
    private Task BackOffAsync(int laps)
    {
        var longest = SessionId == 0 ? BackOffMax.Ticks : Math.Min(BackOffMax.Ticks, NegotiatedSessionTimeout.Ticks / 4);
        var wait = TimeSpan.FromTicks(Math.Min(longest, BackOffMin.Ticks << Math.Min(laps - 1, 10)));
        return Task.Delay(wait * (0.5 + (_runtime.Random.NextDouble() / 2)), _runtime.Time, _closing.Token);
    }

    /// <summary>Attaches the session to a server and stays until the connection ends.</summary>
    /// <returns>How long it was attached; zero when not at all.</returns>
    private async Task<TimeSpan> TryAttachAsync(string host, int port)
    {
        INetworkConnection network;
        ConnectResponse response;
        try
        {
            (network, response) = await ConnectAsync(host, port);
        }
        catch (Exception exception) when (exception is IOException or JuteException
            || (exception is OperationCanceledException && !_closing.IsCancellationRequested))
        {
            _logger.LogDebug("ZooKeeper at {Host}:{Port} is not to be had: {Reason}", host, port, exception.Message);
            if (exception is TurnedAwayException && SessionId != 0 && Now - _attachedUntil > NegotiatedSessionTimeout * TurnedAwayTimeouts)
            {
                _logger.LogWarning("The servers do not take the session 0x{Session:x} back, and its time is over", SessionId);
                End(ZooKeeperError.SessionExpired, KeeperState.Expired);
            }

            return TimeSpan.Zero;
        }

        await using (network)
        {
            if (response.TimeOut <= 0)
            {
                End(ZooKeeperError.SessionExpired, KeeperState.Expired);
                return TimeSpan.Zero;
            }

            Volatile.Write(ref _negotiatedTicks, TimeSpan.FromMilliseconds(response.TimeOut).Ticks);
            Volatile.Write(ref _sessionId, response.SessionId);
            _password = response.Password ?? [];
            var since = Now;
            var attachment = new Attachment(this, network);
            var reason = "it failed";
            Begin(attachment);
            try
            {
                _logger.LogInformation(
                    "Connected to ZooKeeper at {Host}:{Port}, session 0x{Session:x}, timeout {Timeout} ms",
                    host, port, response.SessionId, response.TimeOut);
                reason = await attachment.RunAsync(_closing.Token);
            }
            finally
            {
                Leave(attachment, reason);
                _attachedUntil = Now;
            }

            return Now - since;
        }
    }

    private async Task<(INetworkConnection Network, ConnectResponse Response)> ConnectAsync(string host, int port)
    {
        using var limit = new CancellationTokenSource(ConnectLimit, _runtime.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _closing.Token);
        var network = await _runtime.Network.ConnectAsync(host, port, _options.Tls.For(host), either.Token);
        try
        {
            using (var buffer = new JuteBuffer())
            {
                JuteFrame.Append(buffer, new ConnectRequest(
                    0, Volatile.Read(ref _lastZxid), (int)_options.SessionTimeout.TotalMilliseconds, SessionId, _password, false));
                await network.Output.WriteAsync(buffer.WrittenMemory, either.Token);
            }

            var response = await ReadResponseAsync(network, either.Token);
            return response.ReadOnly == true
                ? throw new IOException("the server is read-only")
                : (network, response);
        }
        catch
        {
            network.Abort();
            await network.DisposeAsync();
            throw;
        }
    }

    private async Task<ConnectResponse> ReadResponseAsync(INetworkConnection network, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await network.Input.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            if (JuteFrame.TryRead(ref buffer, _options.FrameBytesMax, out var content))
            {
                if (content.Length < ConnectResponse.EncodedLengthMin)
                {
                    throw new JuteException("the answer to the connect is too short");
                }

                var response = Decode(content);
                network.Input.AdvanceTo(buffer.Start);
                return response;
            }

            network.Input.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                throw new TurnedAwayException();
            }
        }

        static ConnectResponse Decode(ReadOnlySequence<byte> content)
        {
            var reader = new JuteReader(content.IsSingleSegment ? content.FirstSpan : content.ToArray());
            return ConnectResponse.Read(ref reader);
        }
    }

    /// <summary>Connected: identities first, then watches, then what has been waiting.</summary>
    private void Begin(Attachment attachment)
    {
        lock (_gate)
        {
            foreach (var identity in _identities)
            {
                attachment.Send(identity);
            }

            foreach (var (type, body) in _watches.Rearm(Volatile.Read(ref _lastZxid), _servers.ToServer))
            {
                attachment.SendSetWatches(type, body);
            }

            while (_waiting.TryDequeue(out var request))
            {
                if (request.IsOver)
                {
                    Release(request);
                }
                else
                {
                    attachment.Send(request);
                }
            }

            _attachment = attachment;
            _connectWaiters.ForEach(waiter => waiter.TrySetResult());
            _connectWaiters.Clear();
            Announce(KeeperState.SyncConnected);
        }
    }

    private void Leave(Attachment attachment, string reason)
    {
        PendingRequest[] lost;
        ZooKeeperError error;
        lock (_gate)
        {
            _attachment = null;
            lost = attachment.TakeInFlight();
            Array.ForEach(lost, Release);
            error = _final == ZooKeeperError.AuthFailed ? ZooKeeperError.AuthFailed : ZooKeeperError.ConnectionLoss;
            if (_final is null && _close is null)
            {
                _logger.LogInformation("The connection to ZooKeeper is lost: {Reason}", reason);
                Announce(KeeperState.Disconnected);
            }
        }

        foreach (var request in lost)
        {
            request.Fail(error);
        }
    }

    /// <summary>The session is over; the first reason counts.</summary>
    private void End(ZooKeeperError error, KeeperState state)
    {
        PendingRequest[] waiting;
        lock (_gate)
        {
            if (_final is not null)
            {
                return;
            }

            _final = error;
            waiting = [.. _waiting];
            _waiting.Clear();
            Array.ForEach(waiting, Release);
            Announce(state);
            _watches.Clear();
            var over = new ZooKeeperException(error, innerException: _cause);
            _connectWaiters.ForEach(waiter => waiter.TrySetException(over));
            _connectWaiters.Clear();
            _identities.ForEach(identity => identity.Added.TrySetException(over));
        }

        foreach (var request in waiting)
        {
            request.Fail(error, _cause);
        }
    }

    /// <summary>Changes the state and tells everybody. Under the gate, so that the order is that of the changes.</summary>
    private void Announce(KeeperState state)
    {
        _state = state;
        _events.Writer.TryWrite((new WatchedEvent(WatchEventType.None, state, null), _watches.All()));
    }

    private sealed class TurnedAwayException() : IOException("the server closed the connection without an answer");
}
