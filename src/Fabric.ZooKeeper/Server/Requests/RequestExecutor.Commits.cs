using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Connections;
using Fabric.ZooKeeper.Server.Storage;
using Fabric.ZooKeeper.Server.Tree;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>The way of transactions to the disk: the open batch, and who waits for it.</summary>
internal sealed partial class RequestExecutor
{
    private readonly List<ServerConnection> _awaitingCommit = [];
    private JuteBuffer _openBatch = new();
    private JuteBuffer? _spareBatch = new();
    private long _batchedZxid;
    private long _durableZxid;

    /// <summary>Set when there is a batch to write.</summary>
    public AsyncSignal LogSignal { get; } = new();

    /// <summary>The last transaction that survives a crash.</summary>
    public long DurableZxid => Volatile.Read(ref _durableZxid);

    /// <summary>Takes what is to be written next; the log writer calls it, and <see cref="Committed"/> before it calls it again.</summary>
    /// <param name="withImage">Whether a snapshot is wanted of the state right behind the batch.</param>
    /// <param name="batch">Room for a block's header, then the transactions.</param>
    /// <param name="image">The state when wanted.</param>
    /// <returns>False when there is nothing to write.</returns>
    public bool TakeBatch(bool withImage, out JuteBuffer batch, out StateImage? image)
    {
        lock (_gate)
        {
            batch = _openBatch;
            image = null;
            if (batch.Length == 0 || _spareBatch is null)
            {
                return false;
            }

            image = withImage ? StateImage.Capture(_state) : null;
            _batchedZxid = _state.LastZxid;
            _openBatch = _spareBatch;
            _spareBatch = null;
            return true;
        }
    }

    /// <summary>The batch is durable: what waited for it may leave.</summary>
    public void Committed(JuteBuffer batch)
    {
        batch.Clear();
        lock (_gate)
        {
            _spareBatch = batch;
            Volatile.Write(ref _durableZxid, _batchedZxid);
            _awaitingCommit.RemoveAll(connection =>
            {
                connection.WakeWriter();
                connection.AwaitsCommit = connection.RequiredZxid > _batchedZxid;
                return !connection.AwaitsCommit;
            });
        }
    }

    /// <summary>The log cannot be written: nothing is executed and nothing sent any more.</summary>
    public void Fail(Exception cause)
    {
        lock (_gate)
        {
            _isStopped = true;
            AbortAll();
        }

        _logger.LogCritical(cause, "{Message}", cause.Message);
        _failed.TrySetException(cause);
    }

    /// <summary>Gives the buffers back; nobody calls any more.</summary>
    public void Dispose()
    {
        _scratch.Dispose();
        _openBatch.Dispose();
        _spareBatch?.Dispose();
    }

    private Transaction BeginTransaction(long sessionId) => new(_state.LastZxid + 1, WallClock, sessionId);

    /// <summary>Gives the attempt its place in the log, whether it succeeded or not, and tells the watchers.</summary>
    private void Commit(Transaction transaction)
    {
        _state.LastZxid = transaction.Zxid;
        if (_openBatch.Length == 0)
        {
            _openBatch.GetSpan(Block.HeaderLength);
            _openBatch.Advance(Block.HeaderLength);
        }

        transaction.Write(new JuteWriter(_openBatch));
        LogSignal.Set();
        foreach (var znodeEvent in transaction.Events)
        {
            _watches.Fire(znodeEvent);
        }
    }

    private void AbortAll()
    {
        foreach (var connection in _connections.ToArray())
        {
            connection.Abort(Now);
        }
    }
}
