using System.Buffers;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Fabric.Replication;
using Fabric.Replication.Core;

namespace Fabric.Tests.Replication;

/// <summary>
/// Links of replicas in one process. An address can be cut off, which ends its streams as a crash would, and paused, which lets nothing
/// in or out and ends no stream, as a stopped process or a network that drops everything would.
/// </summary>
internal sealed class MemoryNetwork
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, MemoryLink> _links = [];
    private readonly Dictionary<string, TaskCompletionSource> _paused = [];

    /// <summary>Sees each frame of a copy before its receiver; may change it, and may throw.</summary>
    public Func<CopyFrame, CopyFrame> OnCopyFrame { get; set; } = static frame => frame;

    /// <summary>Sees what a slave introduces itself with.</summary>
    public Action<FollowHello> OnHello { get; set; } = static _ => { };

    /// <summary>Sees who asks whom for a promise.</summary>
    public Action<string, string, PromiseRequest> OnPromise { get; set; } = static (_, _, _) => { };

    public IReplicaLink Create(string address) => new MemoryLink(this, address);

    public void Cut(string address)
    {
        lock (_gate)
        {
            if (_links.Remove(address, out var link))
            {
                link.Down.Cancel();
            }
        }
    }

    /// <summary>Breaks the streams of an address; it can be reached again at once.</summary>
    public void Break(string address)
    {
        lock (_gate)
        {
            if (_links.TryGetValue(address, out var link))
            {
                link.Break();
            }
        }
    }

    public void Pause(string address)
    {
        lock (_gate)
        {
            _paused.TryAdd(address, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }
    }

    public void Resume(string address)
    {
        lock (_gate)
        {
            if (_paused.Remove(address, out var pause))
            {
                pause.SetResult();
            }
        }
    }

    /// <summary>Ends when neither of the two is paused.</summary>
    private async Task PassAsync(string from, string to, CancellationToken cancellationToken)
    {
        while (Paused(from) is { } pause || (pause = Paused(to)) is not null)
        {
            await pause.WaitAsync(cancellationToken);
        }
    }

    private Task? Paused(string address)
    {
        lock (_gate)
        {
            return _paused.GetValueOrDefault(address)?.Task;
        }
    }

    private (MemoryLink Link, IReplicaPeer Peer) Find(string address)
    {
        lock (_gate)
        {
            return _links.TryGetValue(address, out var link) && link.Peer is { } peer
                ? (link, peer)
                : throw new ReplicaLinkException($"{address} is not there", refused: true);
        }
    }

    private sealed class MemoryLink(MemoryNetwork network, string address) : IReplicaLink
    {
        public IReplicaPeer? Peer { get; private set; }

        public CancellationTokenSource Down { get; private set; } = new();

        public void Break()
        {
            var down = Down;
            Down = new CancellationTokenSource();
            down.Cancel();
        }

        public Task<string> ListenAsync(IReplicaPeer peer, CancellationToken cancellationToken)
        {
            Peer = peer;
            lock (network._gate)
            {
                network._links[address] = this;
            }

            return Task.FromResult(address);
        }

        public async Task<PromiseReply> PromiseAsync(
            string to, Guid storeId, PromiseRequest request, TimeSpan limit, CancellationToken cancellationToken)
        {
            network.OnPromise(address, to, request);
            var (link, peer) = network.Find(to);
            try
            {
                return await AskAsync().WaitAsync(limit, cancellationToken);
            }
            catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
            {
                throw new ReplicaLinkException("no answer", refused: false, exception);
            }

            async Task<PromiseReply> AskAsync()
            {
                var token = link.Down.Token;
                await network.PassAsync(address, to, token);
                var reply = await peer.OnPromiseAsync(storeId, request, token);
                await network.PassAsync(address, to, token);
                return reply;
            }
        }

        public async Task<IFollowStream> FollowAsync(string to, FollowHello hello, CancellationToken cancellationToken)
        {
            await network.PassAsync(address, to, cancellationToken);
            network.OnHello(hello);
            var (link, peer) = network.Find(to);
            var stream = new MemoryStreamPair(
                CancellationTokenSource.CreateLinkedTokenSource(link.Down.Token, Down.Token), token => network.PassAsync(address, to, token));
            stream.Serve(() => peer.OnFollowAsync(hello, stream, stream.Closed.Token));
            return stream;
        }

        public async IAsyncEnumerable<JournalChunk> FetchAsync(
            string to, FetchRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var (_, peer) = network.Find(to);
            await foreach (var chunk in peer.OnFetchAsync(request, cancellationToken))
            {
                await network.PassAsync(address, to, cancellationToken);
                yield return chunk;
            }
        }

        public async IAsyncEnumerable<CopyFrame> CopyAsync(
            string to, CopyRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var (link, peer) = network.Find(to);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, link.Down.Token, Down.Token);
            await foreach (var frame in peer.OnCopyAsync(request, either.Token))
            {
                await network.PassAsync(address, to, either.Token);
                if (either.IsCancellationRequested)
                {
                    throw new ReplicaLinkException("the link is cut", refused: false);
                }

                yield return network.OnCopyFrame(frame with { Bytes = new ReadOnlySequence<byte>(frame.Bytes.ToArray()) });
            }
        }

        public ValueTask DisposeAsync()
        {
            network.Cut(address);
            return ValueTask.CompletedTask;
        }
    }

    private sealed class MemoryStreamPair(CancellationTokenSource closed, Func<CancellationToken, Task> pass) : IFollowStream, ISlaveStream
    {
        private readonly Channel<FollowFrame> _frames = Channel.CreateBounded<FollowFrame>(16);
        private readonly Channel<FollowAck> _acks = Channel.CreateUnbounded<FollowAck>();
        private Task _serving = Task.CompletedTask;

        public CancellationTokenSource Closed => closed;

        public void Serve(Func<Task> body) => _serving = Task.Run(async () =>
        {
            try
            {
                await body();
            }
            catch (Exception exception) when (exception is OperationCanceledException or ReplicaLinkException)
            {
                _frames.Writer.TryComplete();
                return;
            }

            _frames.Writer.TryComplete();
        });

        public async ValueTask<FollowFrame?> ReadAsync(CancellationToken cancellationToken)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, closed.Token);
            try
            {
                await pass(either.Token);
                return await _frames.Reader.WaitToReadAsync(either.Token) && _frames.Reader.TryRead(out var frame) ? frame : null;
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new ReplicaLinkException("the link is cut", refused: false);
            }
        }

        public async ValueTask AcknowledgeAsync(FollowAck ack, CancellationToken cancellationToken)
        {
            await pass(cancellationToken);
            await _acks.Writer.WriteAsync(ack, cancellationToken);
        }

        async ValueTask<FollowAck?> ISlaveStream.ReadAsync(CancellationToken cancellationToken)
        {
            await pass(cancellationToken);
            return await _acks.Reader.WaitToReadAsync(cancellationToken) && _acks.Reader.TryRead(out var ack) ? ack : null;
        }

        public async ValueTask WriteAsync(FollowFrame frame, CancellationToken cancellationToken)
        {
            if (closed.IsCancellationRequested)
            {
                throw new ReplicaLinkException("the link is cut", refused: false);
            }

            await pass(cancellationToken);

            // The sender reuses its buffer, so the bytes are copied, as a wire would.
            await _frames.Writer.WriteAsync(
                frame with { Records = new ReadOnlySequence<byte>(frame.Records.ToArray()) }, cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await closed.CancelAsync();
            _acks.Writer.TryComplete();
            await _serving;
        }
    }
}
