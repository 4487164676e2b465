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
    private sealed class Attachment(ZooKeeperClient client, INetworkConnection network)
    {
        private static readonly TimeSpan PingIntervalMax = TimeSpan.FromSeconds(10);
        private static readonly TimeSpan TickMin = TimeSpan.FromMilliseconds(10);

        private readonly AsyncSignal _wake = new();
        private long _lastHeard = client.Now.Ticks;
        private long _lastSent = client.Now.Ticks;
        private volatile string? _endReason;
        private volatile bool _ended;

        // Guarded by the client's gate.
        private readonly Queue<PendingRequest> _inFlight = new();
        private readonly Queue<TaskCompletionSource> _authentications = new();
        private JuteBuffer _outgoing = new();
        private int _unconfirmedWatches; // packets of watches that the server has not answered

        /// <summary>Under the client's gate, as all methods that send.</summary>
        public void Send(PendingRequest request)
        {
            // Numbers go on over connections, as Java's do, and stay clear of the special ones below zero.
            client._lastXid = client._lastXid == int.MaxValue ? 1 : client._lastXid + 1;
            request.WriteTo(_outgoing, client._lastXid);
            _inFlight.Enqueue(request);
            _wake.Set();
        }

        public void Send(Identity identity)
        {
            JuteFrame.Append(
                _outgoing, new RequestHeader(SpecialXid.Auth, OpCode.Auth), new AuthPacket(0, identity.Scheme, identity.Secret));
            _authentications.Enqueue(identity.Added);
            _wake.Set();
        }

        public void SendSetWatches(OpCode type, IJuteRecord body)
        {
            JuteFrame.Append(_outgoing, new RequestHeader(SpecialXid.SetWatches, type), body);
            _unconfirmedWatches++;
            _wake.Set();
        }

        /// <summary>Asks the server to close the session. It does not count against the limits.</summary>
        public PendingRequest<bool> Close()
        {
            var close = new PendingRequest<bool>(OpCode.CloseSession, null, null, int.MaxValue, static (_, ref _) => true);
            client.Admit(close);
            Send(close);
            return close;
        }

        /// <summary>Takes what was sent and not answered. Nothing may be sent any more: until now somebody could have been about to.</summary>
        public PendingRequest[] TakeInFlight()
        {
            PendingRequest[] taken = [.. _inFlight];
            _inFlight.Clear();
            _outgoing.Dispose();
            return taken;
        }

        /// <summary>Runs until the connection ends.</summary>
        /// <returns>Why it ended, for people.</returns>
        public async Task<string> RunAsync(CancellationToken closing)
        {
            var tick = TimeSpan.FromTicks(Math.Max(client.NegotiatedSessionTimeout.Ticks / 30, TickMin.Ticks));
            await using var clock = client._runtime.Time.CreateTimer(_ => Check(), null, tick, tick);
            await using var closed = closing.UnsafeRegister(static attachment => ((Attachment)attachment!).Cut("closed"), this);
            var writing = client._runtime.Scheduler.Start("ZooKeeper writer", WriteAsync);
            try
            {
                await ReadAsync();
                Cut("the server closed it");
            }
            catch (Exception exception) when (exception is IOException or JuteException or OperationCanceledException or ObjectDisposedException)
            {
                Cut(exception.Message);
            }
            finally
            {
                _ended = true;
                network.Abort();
                _wake.Set();
                await writing;
            }

            return _endReason!;
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
            var silence = TimeSpan.FromTicks(now - Volatile.Read(ref _lastHeard));
            if (silence > timeout * 2 / 3)
            {
                Cut($"nothing was heard for {silence.TotalSeconds:0.0} s");
            }
            else if (now - Volatile.Read(ref _lastSent) >= Math.Min(timeout.Ticks / 3, PingIntervalMax.Ticks))
            {
                Volatile.Write(ref _lastSent, now);
                lock (client._gate)
                {
                    if (!_ended)
                    {
                        JuteFrame.Append(_outgoing, new RequestHeader(SpecialXid.Ping, OpCode.Ping));
                    }
                }

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
                while (TryCut(ref buffer, out var content))
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

        private bool TryCut(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> content)
        {
            try
            {
                return JuteFrame.TryRead(ref buffer, client._options.FrameBytesMax, out content);
            }
            catch (JuteException exception)
            {
                // Only an answer to a read can be that large. Its caller must learn why, or would ask again for ever.
                if (TakeDue() is { } due)
                {
                    var isRead = due.Type is OpCode.GetData or OpCode.GetChildren2 or OpCode.GetAcl;
                    due.Fail(isRead ? ZooKeeperError.MarshallingError : ZooKeeperError.ConnectionLoss, exception);
                }

                throw;
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
                case SpecialXid.Ping:
                    break;
                case SpecialXid.SetWatches when header.Error != ZooKeeperError.Ok:
                    throw new JuteException($"the server does not take the watches: {header.Error}"); // unarmed, they would be silent for ever
                case SpecialXid.SetWatches:
                    if (--_unconfirmedWatches == 0)
                    {
                        Saw(header.Zxid); // everything up to it has fired, of all watches
                    }

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
            var request = TakeDue();
            if (request is null || request.Xid != header.Xid)
            {
                request?.Fail(ZooKeeperError.ConnectionLoss);
                throw new JuteException($"the answer {header.Xid} belongs to no request that is due");
            }

            Saw(header.Zxid);
            try
            {
                request.Answer(header.Error, ref reader);
            }
            catch (JuteException exception)
            {
                request.Fail(ZooKeeperError.MarshallingError, exception);
                throw;
            }
        }

        /// <summary>Not below it: what a read has shown must never be taken back by another server.</summary>
        private void Saw(long zxid) => Volatile.Write(ref client._lastZxid, Math.Max(client._lastZxid, zxid));

        private PendingRequest? TakeDue()
        {
            lock (client._gate)
            {
                if (_inFlight.TryDequeue(out var request))
                {
                    client.Release(request);
                }

                return request;
            }
        }
    }
}
