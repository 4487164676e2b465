using System.Security.Cryptography;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Connections;
using Fabric.ZooKeeper.Server.Sessions;
using Fabric.ZooKeeper.Server.Tree;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>Connections come and go, sessions begin and end (reference §1.3, §1.4, §3.7).</summary>
internal sealed partial class RequestExecutor
{
    private const int PasswordLength = 16;

    /// <summary>Removals of containers and TTL znodes per check, so that a great clean-up does not hold the lock for long.</summary>
    private const int ReapedPerCheckMax = 10_000;

    /// <summary>Takes a new connection in.</summary>
    /// <returns>False when a limit is reached or the server stops: the caller closes it.</returns>
    public bool Admit(ServerConnection connection)
    {
        lock (_gate)
        {
            if (_isStopped || _connections.Count >= _options.ConnectionsMax
                || _connections.Count(other => other.Host == connection.Host) >= _options.ConnectionsPerHostMax)
            {
                return false;
            }

            connection.AdmittedAt = Now;
            return _connections.Add(connection);
        }
    }

    /// <summary>The connection reads nothing more: its watches go, its session stays.</summary>
    public void Disconnect(ServerConnection connection)
    {
        lock (_gate)
        {
            Detach(connection);
            connection.Close(Now);
        }
    }

    /// <summary>The connection is closed. Until now it counted, and could still be cut.</summary>
    public void Forget(ServerConnection connection)
    {
        lock (_gate)
        {
            _connections.Remove(connection);
        }
    }

    /// <summary>The connection is broken: it ends without sending anything more.</summary>
    public void Drop(ServerConnection connection)
    {
        lock (_gate)
        {
            connection.Abort(Now);
        }
    }

    /// <summary>Ends all connections after their last answers; no request is executed any more. Sessions stay.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _isStopped = true;
            foreach (var connection in _connections.ToArray())
            {
                connection.Close(Now);
            }
        }
    }

    /// <summary>Cuts what <see cref="Stop"/> could not end politely.</summary>
    public void Abandon()
    {
        lock (_gate)
        {
            AbortAll();
        }
    }

    /// <summary>Expires sessions, and cuts connections that keep the server waiting.</summary>
    /// <param name="interval">Time between two calls, in milliseconds.</param>
    public void CheckSessions(long interval)
    {
        lock (_gate)
        {
            if (_isStopped)
            {
                return;
            }

            var now = Now;
            foreach (var session in _state.Sessions.TakeExpired(now, interval, (long)_options.TickTime.TotalMilliseconds))
            {
                _logger.LogInformation("The ZooKeeper session 0x{Session:x} expired", session.Id);
                var transaction = BeginTransaction(session.Id);
                _state.Apply(new TreeChange.CloseSession(session.Id), transaction);
                Commit(transaction);
                session.Connection?.Abort(now);
            }

            foreach (var connection in _connections.ToArray())
            {
                var since = connection.IsClosing ? connection.ClosingSince : connection.AdmittedAt;
                if ((connection.IsClosing || connection.Session is null) && now - since > ImpoliteMs)
                {
                    connection.Abort(now);
                }
            }
        }
    }

    /// <summary>Deletes containers whose last child went and TTL znodes that outlived their time (reference §3.8).</summary>
    public void Reap()
    {
        lock (_gate)
        {
            if (_isStopped)
            {
                return;
            }

            var now = WallClock;
            foreach (var path in _state.Tree.Reapable.Where(path => IsOver(_state.Tree.Find(path)!, now)).Take(ReapedPerCheckMax).ToArray())
            {
                var transaction = BeginTransaction(0);
                _state.Apply(new TreeChange.Delete(path), transaction);
                Commit(transaction);
            }
        }
    }

    private static bool IsOver(Znode znode, long now) => znode.ChildCount == 0
        && (znode.Owner.IsContainer ? znode.Creates > 0 : now - znode.Mtime > znode.Owner.Ttl);

    private void Connect(ServerConnection connection, ConnectRequest request, long received)
    {
        // The client has seen a later state than ours: it must not go back in time, so it gets no answer (reference §1.3).
        if (request.LastZxidSeen > _state.LastZxid)
        {
            _logger.LogWarning(
                "Refusing a ZooKeeper client from {Peer}: it has seen transaction {Seen}, this server is at {Last}",
                connection.RemoteEndPoint,
                request.LastZxidSeen,
                _state.LastZxid);
            connection.Close(Now);
            return;
        }

        if (request.SessionId == 0 && _state.Sessions.Count >= _options.SessionsMax)
        {
            _logger.LogWarning("Refusing a ZooKeeper session: there are {Count} already", _state.Sessions.Count);
            connection.Close(Now);
            return;
        }

        var timeout = Math.Clamp(request.TimeOut, _options.MinSessionTimeoutMs, _options.MaxSessionTimeoutMs);
        var session = request.SessionId == 0 ? OpenSession(timeout) : TakeOver(request);
        if (session is null)
        {
            AnswerConnect(connection, request, new ConnectResponse(0, 0, 0, new byte[PasswordLength], false), received);
            connection.Close(Now);
            return;
        }

        session.Timeout = timeout;
        session.Connection = connection;
        connection.Session = session;
        SessionTable.Touch(session, Now);
        AnswerConnect(connection, request, new ConnectResponse(0, timeout, session.Id, session.Password, false), received);
    }

    private ServerSession OpenSession(int timeout)
    {
        var id = _state.Sessions.NextId(WallClock);
        var transaction = BeginTransaction(id);
        _state.Apply(new TreeChange.OpenSession(id, timeout, SessionTable.NewPassword(_runtime)), transaction);
        Commit(transaction);
        return _state.Sessions.Find(id)!;
    }

    /// <summary>
    /// The session a client wants back, or null when it is over or the password is wrong. The password comes first: a
    /// stranger must not be able to cut the connection of the session's owner.
    /// </summary>
    private ServerSession? TakeOver(ConnectRequest request)
    {
        if (_state.Sessions.Find(request.SessionId) is not { } session
            || !CryptographicOperations.FixedTimeEquals(session.Password, request.Password ?? []))
        {
            return null;
        }

        if (session.Connection is { } previous)
        {
            Detach(previous);
            previous.Close(Now);
        }

        return session;
    }

    /// <summary>The answer repeats whether the client knows the read-only byte (reference §1.3).</summary>
    private void AnswerConnect(ServerConnection connection, ConnectRequest request, ConnectResponse response, long received)
    {
        JuteFrame.Append(_scratch, response with { ReadOnly = request.ReadOnly is null ? null : false });
        Queue(connection, new OutgoingFrame(TakeScratch(), _state.LastZxid, received, 0));
        connection.Statistics.LastOperation = "SESS";
    }

    private void Detach(ServerConnection connection)
    {
        _watches.RemoveAll(connection);
        if (connection.Session is { } session && session.Connection == connection)
        {
            session.Connection = null;
        }
    }
}
