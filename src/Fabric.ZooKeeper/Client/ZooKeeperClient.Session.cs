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

    private bool IsEnding
    {
        get
        {
            lock (_gate)
            {
                return _final is not null || _leaving;
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
                if (await TryAttachAsync(host, port))
                {
                    failures = 0;
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
        }

        End(ZooKeeperError.SessionExpired, KeeperState.Closed);
        _events.Writer.TryComplete();
    }

    /// <summary>A lap over all servers found none: wait, longer each time, but never so long that the session is lost by it.</summary>
    private Task BackOffAsync(int laps)
    {
        var longest = SessionId == 0 ? BackOffMax : TimeSpan.FromTicks(Math.Min(BackOffMax.Ticks, NegotiatedSessionTimeout.Ticks / 4));
        var wait = TimeSpan.FromTicks(Math.Min(longest.Ticks, BackOffMin.Ticks << Math.Min(laps - 1, 10)));
        return Task.Delay(wait * (0.5 + (_runtime.Random.NextDouble() / 2)), _runtime.Time, _closing.Token);
    }

    /// <summary>Attaches the session to a server and stays until the connection ends.</summary>
    /// <returns>Whether it was attached at all.</returns>
    private async Task<bool> TryAttachAsync(string host, int port)
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
            return false;
        }

        await using (network)
        {
            if (response.TimeOut <= 0)
            {
                End(ZooKeeperError.SessionExpired, KeeperState.Expired);
                return true;
            }

            Volatile.Write(ref _negotiatedTicks, TimeSpan.FromMilliseconds(response.TimeOut).Ticks);
            Volatile.Write(ref _sessionId, response.SessionId);
            _password = response.Password ?? [];
            var attachment = new Attachment(this, network, response.ReadOnly == true ? KeeperState.ConnectedReadOnly : KeeperState.SyncConnected);
            Begin(attachment);
            _logger.LogInformation(
                "Connected to ZooKeeper at {Host}:{Port}, session 0x{Session:x}, timeout {Timeout} ms", host, port, response.SessionId, response.TimeOut);
            var reason = await attachment.RunAsync(_closing.Token);
            Leave(attachment, reason);
            return true;
        }
    }

    private async Task<(INetworkConnection Network, ConnectResponse Response)> ConnectAsync(string host, int port)
    {
        using var limit = new CancellationTokenSource(NegotiatedSessionTimeout / _servers.Hosts.Count, _runtime.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _closing.Token);
        var network = await _runtime.Network.ConnectAsync(host, port, _options.Tls, either.Token);
        try
        {
            using (var buffer = new JuteBuffer())
            {
                JuteFrame.Append(buffer, new ConnectRequest(
                    0, Volatile.Read(ref _lastZxid), (int)_options.SessionTimeout.TotalMilliseconds, SessionId, _password, false));
                await network.Output.WriteAsync(buffer.WrittenMemory, either.Token);
            }

            while (true)
            {
                var read = await network.Input.ReadAsync(either.Token);
                var buffer = read.Buffer;
                if (JuteFrame.TryRead(ref buffer, _options.FrameBytesMax, out var content))
                {
                    if (content.Length < ConnectResponse.EncodedLengthMin)
                    {
                        throw new JuteException("the answer to the connect is too short");
                    }

                    var response = ReadResponse(content);
                    network.Input.AdvanceTo(buffer.Start);
                    return (network, response);
                }

                network.Input.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted)
                {
                    throw new IOException("the server closed the connection without an answer");
                }
            }
        }
        catch
        {
            network.Abort();
            throw;
        }
    }

    private static ConnectResponse ReadResponse(ReadOnlySequence<byte> content)
    {
        var reader = new JuteReader(content.IsSingleSegment ? content.FirstSpan : content.ToArray());
        return ConnectResponse.Read(ref reader);
    }

    /// <summary>Connected: identities first, then watches, then what has been waiting.</summary>
    private void Begin(Attachment attachment)
    {
        lock (_gate)
        {
            foreach (var identity in _identities)
            {
                attachment.Send(identity.Scheme, identity.Secret, identity.Added);
            }

            foreach (var (type, body) in _watches.Rearm(Volatile.Read(ref _lastZxid), _servers.ToServer))
            {
                attachment.SendSetWatches(type, body);
            }

            while (_waiting.TryDequeue(out var request))
            {
                if (!request.IsOver)
                {
                    attachment.Send(request);
                }
            }

            _attachment = attachment;
            _connectWaiters.ForEach(waiter => waiter.TrySetResult());
            _connectWaiters.Clear();
            Announce(attachment.State);
        }
    }

    private void Leave(Attachment attachment, string reason)
    {
        PendingRequest[] lost;
        lock (_gate)
        {
            _attachment = null;
            lost = attachment.TakeInFlight();
            if (_final is null && !_leaving)
            {
                _logger.LogInformation("The connection to ZooKeeper is lost: {Reason}", reason);
                Announce(KeeperState.Disconnected);
            }
        }

        foreach (var request in lost)
        {
            request.Fail(ZooKeeperError.ConnectionLoss);
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
            Announce(state);
            _watches.Clear();
            var over = new ZooKeeperException(error);
            _connectWaiters.ForEach(waiter => waiter.TrySetException(over));
            _connectWaiters.Clear();
            _identities.ForEach(identity => identity.Added.TrySetException(over));
        }

        foreach (var request in waiting)
        {
            request.Fail(error);
        }
    }

    /// <summary>Changes the state and tells everybody. Under the gate, so that the order is that of the changes.</summary>
    private void Announce(KeeperState state)
    {
        _state = state;
        _events.Writer.TryWrite((new WatchedEvent(WatchEventType.None, state, null), _watches.All()));
    }
}
