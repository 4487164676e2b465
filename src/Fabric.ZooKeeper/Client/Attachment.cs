using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Fabric.Runtime.Network;
using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

public sealed partial class ZooKeeperClient
{
    /// <summary>
    /// The session on one connection: a writer for the frames that are put together under the client's gate, a reader that hands
    /// answers to requests in their order, and a clock that pings and gives a silent server up.
    /// </summary>
    [SuppressMessage("Design", "CA1001", Justification = "RunAsync is its whole life and disposes what it holds at the end.")]
    private sealed class Attachment(ZooKeeperClient client, INetworkConnection network, KeeperState state)
    {
        private static readonly TimeSpan PingIntervalMax = TimeSpan.FromSeconds(10);

        private readonly AsyncSignal _wake = new();
        private readonly Queue<PendingRequest> _inFlight = new();
        private readonly Queue<TaskCompletionSource> _authentications = new();
        private JuteBuffer _outgoing = new();
        private int _lastXid;
        private long _lastHeard = client.Now.Ticks;
        private long _lastSent = client.Now.Ticks;
        private volatile string? _endReason;
        private volatile bool _ended;

        public KeeperState State => state;

        public int InFlightCount => _inFlight.Count;

        /// <summary>Under the client's gate, as all methods that send.</summary>
        public void Send(PendingRequest request)
        {
            request.Xid = ++_lastXid;
            if (request.Body is { } body)
            {
                JuteFrame.Append(_outgoing, new RequestHeader(request.Xid, request.Type), body);
            }
            else
            {
                JuteFrame.Append(_outgoing, new RequestHeader(request.Xid, request.Type));
            }

            _inFlight.Enqueue(request);
            _wake.Set();
        }

        public void Send(string scheme, byte[] secret, TaskCompletionSource added)
        {
            JuteFrame.Append(_outgoing, new RequestHeader(SpecialXid.Auth, OpCode.Auth), new AuthPacket(0, scheme, secret));
            _authentications.Enqueue(added);
            _wake.Set();
        }

        public void SendSetWatches(OpCode type, IJuteRecord body)
        {
            JuteFrame.Append(_outgoing, new RequestHeader(SpecialXid.SetWatches, type), body);
            _wake.Set();
        }

        public PendingRequest[] TakeInFlight()
        {
            PendingRequest[] taken = [.. _inFlight];
            _inFlight.Clear();
            return taken;
        }

        /// <summary>Runs until the connection ends.</summary>
        /// <returns>Why it ended, for people.</returns>
        public async Task<string> RunAsync(CancellationToken closing)
        {
            var tick = TimeSpan.FromTicks(Math.Max(client.NegotiatedSessionTimeout.Ticks / 30, TimeSpan.TicksPerMillisecond * 10));
            await using var clock = client._runtime.Time.CreateTimer(_ => Check(), null, tick, tick);
            await using var closed = closing.UnsafeRegister(static attachment => ((Attachment)attachment!).Cut("closed"), this);
            var writing = client._runtime.Scheduler.Start("ZooKeeper writer", WriteAsync);
            try
            {
                await ReadAsync();
                _endReason ??= "the server closed it";
            }
            catch (Exception exception) when (exception is IOException or JuteException or OperationCanceledException or ObjectDisposedException)
            {
                _endReason ??= exception.Message;
            }

            _ended = true;
            network.Abort();
            _wake.Set();
            await writing;
            _outgoing.Dispose();
            return _endReason;
        }

        private void Cut(string reason)
        {
            _endReason ??= reason;
            network.Abort();
        }

        private void Check()
        {
            var timeout = client.NegotiatedSessionTimeout;
            var now = client.Now.Ticks;
            if (now - Volatile.Read(ref _lastHeard) > timeout.Ticks * 2 / 3)
            {
                Cut($"nothing was heard for {TimeSpan.FromTicks(now - Volatile.Read(ref _lastHeard)).TotalSeconds:0.0} s");
            }
            else if (now - Volatile.Read(ref _lastSent) >= Math.Min(timeout.Ticks / 3, PingIntervalMax.Ticks))
            {
                lock (client._gate)
                {
                    if (!_ended)
                    {
                        JuteFrame.Append(_outgoing, new RequestHeader(SpecialXid.Ping, OpCode.Ping));
                    }
                }

                Volatile.Write(ref _lastSent, now);
                _wake.Set();
            }
        }

        private async Task WriteAsync()
        {
            var spare = new JuteBuffer();
            try
            {
                while (!_ended)
                {
                    await _wake.WaitAsync();
                    lock (client._gate)
                    {
                        (_outgoing, spare) = (spare, _outgoing);
                    }

                    if (spare.Length > 0)
                    {
                        Volatile.Write(ref _lastSent, client.Now.Ticks);
                        await network.Output.WriteAsync(spare.WrittenMemory);
                        spare.Clear();
                    }
                }
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidOperationException)
            {
                Cut(exception.Message);
            }
            finally
            {
                spare.Dispose();
            }
        }

        private async Task ReadAsync()
        {
            var input = network.Input;
            while (true)
            {
                var read = await input.ReadAsync();
                Volatile.Write(ref _lastHeard, client.Now.Ticks);
                var buffer = read.Buffer;
                while (JuteFrame.TryRead(ref buffer, client._options.FrameBytesMax, out var content))
                {
                    Take(content.IsSingleSegment ? content.FirstSpan : content.ToArray());
                }

                input.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted)
                {
                    return;
                }
            }
        }

        private void Take(ReadOnlySpan<byte> frame)
        {
            var reader = new JuteReader(frame);
            var header = ReplyHeader.Read(ref reader);
            switch (header.Xid)
            {
                case SpecialXid.Notification:
                    Notify(WatcherEvent.Read(ref reader));
                    break;
                case SpecialXid.Ping or SpecialXid.SetWatches:
                    break;
                case SpecialXid.Auth:
                    Authenticated(header.Error);
                    break;
                default:
                    Answer(header, ref reader);
                    break;
            }
        }

        private void Notify(WatcherEvent happened)
        {
            var path = client._servers.ToClient(happened.Path);
            var handlers = client._watches.Take(happened.Type, path);
            if (handlers.Count > 0)
            {
                client._events.Writer.TryWrite((new WatchedEvent(happened.Type, happened.State, path), handlers));
            }
        }

        private void Authenticated(ZooKeeperError error)
        {
            TaskCompletionSource? added;
            lock (client._gate)
            {
                _authentications.TryDequeue(out added);
            }

            if (error == ZooKeeperError.Ok)
            {
                added?.TrySetResult();
                return;
            }

            client.End(ZooKeeperError.AuthFailed, KeeperState.AuthFailed);
            Cut("ZooKeeper refuses the authentication");
        }

        private void Answer(ReplyHeader header, ref JuteReader reader)
        {
            PendingRequest? request;
            lock (client._gate)
            {
                _inFlight.TryDequeue(out request);
            }

            if (request is null || request.Xid != header.Xid)
            {
                request?.Fail(ZooKeeperError.ConnectionLoss);
                throw new JuteException($"the answer {header.Xid} belongs to no request that is due");
            }

            if (header.Zxid > 0)
            {
                Volatile.Write(ref client._lastZxid, Math.Max(client._lastZxid, header.Zxid));
            }

            try
            {
                request.Answer(header.Error, ref reader);
            }
            catch (JuteException)
            {
                request.Fail(ZooKeeperError.ConnectionLoss);
                throw;
            }
        }
    }
}
