using System.Buffers;
using System.IO.Pipelines;
using Fabric.Runtime;
using Fabric.Runtime.Network;
using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Requests;
using Fabric.ZooKeeper.Server.Sessions;
using Fabric.ZooKeeper.Server.Tree;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server.Connections;

/// <summary>
/// One client connection: a reader that hands frames to the executor, and a writer that sends answers and events in order,
/// each when it may be sent. Peers that break the protocol lose this connection and nothing else.
/// </summary>
internal sealed class ServerConnection : IWatcher
{
    /// <summary>Largest first frame. A ConnectRequest has 45 bytes; strangers get no more memory than this.</summary>
    private const int ConnectLengthMax = 4096;

    /// <summary>Written without a flush in between, at most, in bytes.</summary>
    private const int FlushLength = 64 * 1024;

    private readonly FabricRuntime _runtime;
    private readonly INetworkConnection _network;
    private readonly RequestExecutor _executor;
    private readonly ZooKeeperServerOptions _options;
    private readonly ILogger _logger;
    private readonly AsyncSignal _writable = new();
    private readonly AsyncSignal _room = new();
    private volatile bool _isClosing;

    public ServerConnection(
        FabricRuntime runtime,
        INetworkConnection network,
        RequestExecutor executor,
        ZooKeeperServerOptions options,
        ILogger logger)
    {
        (_runtime, _network, _executor, _options, _logger) = (runtime, network, executor, options, logger);
        Statistics = new ConnectionStatistics(runtime.Time);
        Host = HostOf(network.RemoteEndPoint);
        Identities = [new Id(AccessControl.IpScheme, Host)];
    }

    /// <summary>Address of the peer without its port.</summary>
    public string Host { get; }

    public string RemoteEndPoint => _network.RemoteEndPoint;

    /// <summary>Who the peer has proved to be. Replaced as a whole, under the executor's lock.</summary>
    public IReadOnlyList<Id> Identities { get; set; }

    /// <summary>The session it speaks for; null before the handshake. Under the executor's lock.</summary>
    public ServerSession? Session { get; set; }

    /// <summary>When the executor took it in, in the executor's milliseconds. Under the executor's lock.</summary>
    public long AdmittedAt { get; set; }

    /// <summary>Whether the executor shall wake it at the next commit. Under the executor's lock.</summary>
    public bool AwaitsCommit { get; set; }

    /// <summary>The highest transaction that a queued frame waits for. Under the executor's lock.</summary>
    public long RequiredZxid { get; set; }

    /// <summary>When <see cref="Close"/> was called, in the executor's milliseconds. Under the executor's lock.</summary>
    public long ClosingSince { get; private set; }

    public OutgoingQueue Outgoing { get; } = new();

    public ConnectionStatistics Statistics { get; }

    /// <summary>No further request is executed.</summary>
    public bool IsClosing => _isClosing;

    public void Notify(WatchEventType type, string path) => _executor.SendEvent(this, type, path);

    /// <summary>Looks again whether something may be sent.</summary>
    public void WakeWriter() => _writable.Set();

    /// <summary>Ends the connection after what is queued was sent; nothing more is read or queued.</summary>
    public void Close(long now)
    {
        if (!_isClosing)
        {
            ClosingSince = now;
            _isClosing = true;
            Outgoing.Complete();
            _network.Input.CancelPendingRead();
            _room.Set();
            _writable.Set();
        }
    }

    /// <summary>Ends the connection at once.</summary>
    public void Abort(long now)
    {
        Outgoing.Discard();
        Close(now);
        _room.Set(); // when it was closing already, and waits for a commit that does not come any more
        _writable.Set();
        _network.Abort();
    }

    /// <summary>Serves the peer until one side ends the connection.</summary>
    public async Task RunAsync()
    {
        var writer = _runtime.Scheduler.Start("zookeeper connection writer", WriteLoopAsync);
        try
        {
            await ReadLoopAsync();
        }
        catch (JuteException exception)
        {
            _logger.LogInformation("Closing the ZooKeeper connection from {Peer}: {Reason}", RemoteEndPoint, exception.Message);
        }
        catch (Exception exception) when (IsDisconnect(exception))
        {
            // The peer is gone or the server dropped it; either way the session decides what that means.
        }
        catch (Exception exception)
        {
            _logger.LogError(exception, "A request from {Peer} met a defect of the ZooKeeper server", RemoteEndPoint);
        }
        finally
        {
            _executor.Disconnect(this);
            await writer;
            await _network.DisposeAsync();
            _executor.Forget(this);
        }
    }

    private static bool IsDisconnect(Exception exception) =>
        exception is IOException or ObjectDisposedException or OperationCanceledException;

    private static string HostOf(string endPoint)
    {
        var colon = endPoint.LastIndexOf(':');
        return (colon < 0 ? endPoint : endPoint[..colon]).Trim('[', ']');
    }

    private async Task ReadLoopAsync()
    {
        while (true)
        {
            var result = await _network.Input.ReadAsync(CancellationToken.None);
            var rest = result.Buffer;
            var isCongested = false;
            while (!_isClosing && !isCongested && TryExecute(ref rest))
            {
                isCongested = IsCongested();
            }

            // What is left after a pause must be looked at again without new bytes; otherwise only new bytes help.
            _network.Input.AdvanceTo(rest.Start, isCongested ? rest.Start : rest.End);
            if (_isClosing || (result.IsCompleted && !isCongested))
            {
                return;
            }

            while (IsCongested() && !_isClosing)
            {
                await _room.WaitAsync();
            }
        }
    }

    /// <summary>Executes the first complete frame of the buffer.</summary>
    private bool TryExecute(ref ReadOnlySequence<byte> buffer)
    {
        var received = _runtime.Time.GetTimestamp();
        if (Session is null && AdminWords.TryRead(buffer, out var word))
        {
            _executor.AnswerWord(this, word);
            return false;
        }

        if (!JuteFrame.TryRead(ref buffer, Session is null ? ConnectLengthMax : _options.FrameLengthMax, out var content))
        {
            return false;
        }

        Statistics.CountReceived();
        _executor.Statistics.CountReceived();
        if (content.IsSingleSegment)
        {
            _executor.Execute(this, content.FirstSpan, received);
            return true;
        }

        var length = (int)content.Length;
        var copy = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            content.CopyTo(copy);
            _executor.Execute(this, copy.AsSpan(0, length), received);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }

        return true;
    }

    /// <summary>A peer that does not take its answers is not read further; so its requests cannot pile up here.</summary>
    private bool IsCongested() =>
        Outgoing.Count >= _options.OutstandingRequestsMax || Outgoing.Bytes >= _options.OutgoingBytesMax / 4;

    private async Task WriteLoopAsync()
    {
        try
        {
            while (!Outgoing.IsDrained)
            {
                await _writable.WaitAsync();
                await SendAsync();
            }
        }
        catch (Exception exception) when (IsDisconnect(exception))
        {
            _executor.Drop(this);
        }
    }

    private async Task SendAsync()
    {
        var unflushed = 0;
        while (Outgoing.TryTake(_executor.DurableZxid, out var frame))
        {
            _network.Output.Write(frame.Bytes);
            Statistics.CountSent(frame.Received);
            _executor.Statistics.CountSent(frame.Received);

            unflushed += frame.Bytes.Length;
            if (unflushed >= FlushLength)
            {
                await FlushAsync();
                unflushed = 0;
            }
        }

        if (unflushed > 0)
        {
            await FlushAsync();
        }
    }

    private async ValueTask FlushAsync()
    {
        FlushResult result = await _network.Output.FlushAsync(CancellationToken.None);
        _room.Set();
        if (result.IsCompleted)
        {
            throw new IOException("the peer does not read any more");
        }
    }
}
