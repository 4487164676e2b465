using Fabric.Runtime;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Connections;
using Fabric.ZooKeeper.Server.Sessions;
using Fabric.ZooKeeper.Server.Tree;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>
/// Executes all requests of all connections, one at a time under one short lock that owns tree, sessions, watches and the
/// open batch of the log. A write changes the tree at once, before it is durable; what keeps that honest is that every
/// answer and event carries the number of the last transaction it may tell about, and leaves only when that transaction is
/// on disk (<see cref="OutgoingQueue"/>). So nobody ever sees what a crash could take back, reads wait for the writes before
/// them, and one sync serves everything that piled up meanwhile. When the log fails nothing leaves any more.
/// Lock order: this lock, then that of an <see cref="OutgoingQueue"/>; nothing is awaited under either.
/// </summary>
internal sealed partial class RequestExecutor : IDisposable
{
    /// <summary>A stranger that has not sent its ConnectRequest, or a peer that does not take its last answers, is cut.</summary>
    private const long ImpoliteMs = 10_000;

    /// <summary>The answer to one multiRead. Clients take some MiB in a frame.</summary>
    private const long MultiReadBytesMax = 16L * 1024 * 1024;

    /// <summary>What each result takes besides data and names: its header, a length and a stat.</summary>
    private const int MultiReadItemBytes = 100;

    private readonly Lock _gate = new();
    private readonly FabricRuntime _runtime;
    private readonly ZooKeeperServerOptions _options;
    private readonly ILogger _logger;
    private readonly ServerState _state;
    private readonly WatchTable _watches = new();
    private readonly HashSet<ServerConnection> _connections = [];
    private readonly JuteBuffer _scratch = new();
    private readonly long _startedAt;
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isStopped;

    public RequestExecutor(FabricRuntime runtime, ZooKeeperServerOptions options, ServerState state, ILogger logger)
    {
        (_runtime, _options, _state, _logger) = (runtime, options, state, logger);
        _startedAt = runtime.Time.GetTimestamp();
        _durableZxid = state.LastZxid;
        Statistics = new ServerStatistics(runtime.Time);
        state.Sessions.TouchAll(Now);
    }

    public ServerStatistics Statistics { get; }

    /// <summary>Never ends well: fails with the cause when the log cannot be written.</summary>
    public Task Failed => _failed.Task;

    /// <summary>Monotonic milliseconds since the start.</summary>
    private long Now => (long)_runtime.Time.GetElapsedTime(_startedAt).TotalMilliseconds;

    /// <summary>Monotonic wall clock of transactions, in milliseconds since 1970 UTC.</summary>
    private long WallClock => _runtime.Time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Executes one frame of a connection. Frames of a closing connection are ignored.</summary>
    /// <param name="connection">Whose frame it is.</param>
    /// <param name="frame">Without its length.</param>
    /// <param name="received">Timestamp of its arrival.</param>
    /// <exception cref="JuteException">Not even a header: the connection must be closed.</exception>
    public void Execute(ServerConnection connection, ReadOnlySpan<byte> frame, long received)
    {
        lock (_gate)
        {
            if (connection.IsClosing || _isStopped)
            {
                return;
            }

            var reader = new JuteReader(frame);
            if (connection.Session is not { } session)
            {
                Connect(connection, ConnectRequest.Read(ref reader), received);
                return;
            }

            SessionTable.Touch(session, Now);
            var header = RequestHeader.Read(ref reader);
            var request = new Request(connection, session, header, received, frame.Length);
            connection.Statistics.LastXid = header.Xid;
            connection.Statistics.LastOperation = header.Type.ToString();
            Dispatch(request, ref reader);
        }
    }

    /// <summary>Queues an event; called back by the watch table, under the lock.</summary>
    public void SendEvent(ServerConnection connection, WatchEventType type, string path)
    {
        var start = _scratch.BeginFrame();
        var writer = new JuteWriter(_scratch);
        new ReplyHeader(SpecialXid.Notification, -1, ZooKeeperError.Ok).Write(writer);
        new WatcherEvent(type, KeeperState.SyncConnected, path).Write(writer);
        _scratch.EndFrame(start);
        Queue(connection, new OutgoingFrame(TakeScratch(), _state.LastZxid, 0, 0));
        if (connection.Outgoing.Bytes > _options.OutgoingBytesMax)
        {
            _logger.LogWarning("Closing the ZooKeeper connection from {Peer}: it does not take its events", connection.RemoteEndPoint);
            connection.Abort(Now);
        }
    }

    private void Dispatch(in Request request, ref JuteReader body)
    {
        switch (request.Type)
        {
            case OpCode.Ping:
                // Not behind the log: it tells what is durable already, so a slow disk does not look like a dead server.
                Reply(request with { Header = new RequestHeader(SpecialXid.Ping, OpCode.Ping) }, DurableZxid, Answer.Done, 0);
                break;
            case OpCode.Auth:
                Authenticate(request, ref body);
                break;
            case OpCode.Sasl:
                Reply(request, 0, Answer.Of(new SaslToken(null)));
                break;
            case OpCode.Create or OpCode.Create2 or OpCode.CreateContainer or OpCode.CreateTtl or OpCode.Delete
                or OpCode.SetData or OpCode.SetAcl or OpCode.Multi or OpCode.Reconfig or OpCode.CloseSession:
                ExecuteWrite(request, ref body);
                break;
            case OpCode.Exists or OpCode.GetData or OpCode.GetAcl or OpCode.GetChildren or OpCode.GetChildren2 or OpCode.Sync
                or OpCode.MultiRead or OpCode.GetEphemerals or OpCode.GetAllChildrenNumber or OpCode.WhoAmI
                or OpCode.SetWatches or OpCode.SetWatches2 or OpCode.AddWatch or OpCode.CheckWatches or OpCode.RemoveWatches:
                ExecuteRead(request, ref body);
                break;
            default:
                Reply(request, -1, ZooKeeperError.Unimplemented);
                request.Connection.Close(Now);
                break;
        }
    }

    private void Authenticate(in Request request, ref JuteReader body)
    {
        var answered = request with { Header = new RequestHeader(SpecialXid.Auth, OpCode.Auth) };
        var packet = AuthPacket.Read(ref body);
        switch (packet.Scheme)
        {
            case DigestAuthentication.Scheme:
                var identity = DigestAuthentication.CreateId(packet.Auth);
                AddIdentity(request.Connection, identity);
                if (identity.Value == _options.SuperDigest)
                {
                    AddIdentity(request.Connection, new Id(AccessControl.SuperScheme, ""));
                }

                Reply(answered, 0, Answer.Done);
                break;
            case AccessControl.IpScheme:
                // Every connection has its address as an identity from the start.
                Reply(answered, 0, Answer.Done);
                break;
            default:
                Reply(answered, 0, ZooKeeperError.AuthFailed);
                request.Connection.Close(Now);
                break;
        }
    }

    private static void AddIdentity(ServerConnection connection, Id identity)
    {
        if (!connection.Identities.Contains(identity))
        {
            connection.Identities = [.. connection.Identities, identity];
        }
    }

    private void Reply(in Request request, long zxid, Answer answer) => Reply(request, zxid, answer, _state.LastZxid);

    private void Reply(in Request request, long zxid, Answer answer, long requiredZxid)
    {
        try
        {
            var start = _scratch.BeginFrame();
            var writer = new JuteWriter(_scratch);
            new ReplyHeader(request.Header.Xid, zxid, answer.Error).Write(writer);
            if (answer.Error == ZooKeeperError.Ok)
            {
                answer.Record?.Write(writer);
            }

            _scratch.EndFrame(start);
        }
        catch
        {
            _scratch.Clear(); // the half of an answer that could not be made is not for the next one
            throw;
        }

        Queue(request.Connection, new OutgoingFrame(TakeScratch(), requiredZxid, request.Received, request.Length));
    }

    private void Queue(ServerConnection connection, in OutgoingFrame frame)
    {
        connection.Outgoing.Add(frame);
        if (frame.RequiredZxid <= DurableZxid)
        {
            connection.WakeWriter();
            return;
        }

        connection.RequiredZxid = frame.RequiredZxid;
        if (!connection.AwaitsCommit)
        {
            connection.AwaitsCommit = true;
            _awaitingCommit.Add(connection);
        }
    }

    private byte[] TakeScratch()
    {
        var bytes = _scratch.Written.ToArray();
        _scratch.Clear();
        return bytes;
    }

    /// <summary>A request on its way through the executor.</summary>
    private readonly record struct Request(
        ServerConnection Connection, ServerSession Session, RequestHeader Header, long Received, int Length)
    {
        public OpCode Type => Header.Type;
    }
}
