using Fabric.Runtime;
using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Requests;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>
/// The loop that makes transactions durable. What arrives while one block is written and synced is the next block, so that
/// any number of requests share one sync and no timer is needed. When a segment is long enough it has a snapshot written
/// and goes on in a new segment. Owns the log.
/// </summary>
internal sealed class LogWriter : IAsyncDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly RequestExecutor _executor;
    private readonly TransactionLog _log;
    private readonly StorageDirectory _directory;
    private readonly ZooKeeperServerOptions _options;
    private readonly ILogger _logger;
    private readonly AsyncSignal _signal;
    private readonly Task _loop;
    private Task _snapshot = Task.CompletedTask;
    private volatile bool _stopping;

    public LogWriter(
        FabricRuntime runtime,
        RequestExecutor executor,
        TransactionLog log,
        StorageDirectory directory,
        ZooKeeperServerOptions options,
        ILogger logger)
    {
        (_runtime, _executor, _log, _directory, _options, _logger) = (runtime, executor, log, directory, options, logger);
        _signal = executor.LogSignal;
        _loop = runtime.Scheduler.StartThread("zookeeper log writer", RunAsync);
    }

    /// <summary>Writes what there still is, waits for a snapshot under way, and closes the log.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        _signal.Set();
        await _loop;
        await _snapshot;
        _log.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _signal.WaitAsync();
                while (_executor.TakeBatch(NeedsSnapshot(), out var batch, out var image))
                {
                    Write(batch, image);
                }

                if (_stopping)
                {
                    return;
                }
            }
        }
        catch (Exception exception)
        {
            // What the file holds now is unknown: no answer that waits for it may go out, and none may follow.
            _executor.Fail(new IOException(
                $"the ZooKeeper server stops: it cannot write its log in {_directory.Path}: {exception.Message}", exception));
        }
    }

    private bool NeedsSnapshot() => _log.SegmentLength >= _options.SegmentBytesMax && _snapshot.IsCompleted;

    private void Write(JuteBuffer batch, StateImage? image)
    {
        _log.Append(batch.WrittenForUpdate);
        _executor.Committed(batch);
        if (image is not null)
        {
            // The image holds exactly what the segments up to here hold, so the new segment begins right behind it.
            _log.StartSegment(image.Zxid + 1);
            _snapshot = _runtime.Scheduler.StartThread("zookeeper snapshot", () => WriteSnapshot(image));
        }
    }

    private Task WriteSnapshot(StateImage image)
    {
        try
        {
            SnapshotFile.Write(_directory, image, _runtime.Random.NextInt64());
            Purge();
        }
        catch (Exception exception)
        {
            // Nothing is lost, the log has it all; the next full segment tries again.
            _logger.LogError(exception, "Cannot write a ZooKeeper snapshot in {Directory}", _directory.Path);
        }

        return Task.CompletedTask;
    }

    /// <summary>
    /// Deletes snapshots beyond those kept, and the segments that the oldest kept one replaces; none while there are fewer snapshots than are to be kept, for when the only one cannot be read, the log
    /// is all there is.
    /// </summary>
    private void Purge()
    {
        var snapshots = _directory.ListSnapshots();
        foreach (var zxid in snapshots.SkipLast(_options.SnapshotsKept))
        {
            _directory.Disk.Delete(_directory.SnapshotPath(zxid));
        }

        if (snapshots.Count >= _options.SnapshotsKept)
        {
            var oldest = snapshots[^_options.SnapshotsKept];
            var logs = _directory.ListLogs();
            for (var i = 0; i + 1 < logs.Count && logs[i + 1] <= oldest + 1; i++)
            {
                _directory.Disk.Delete(_directory.LogPath(logs[i]));
            }
        }

        _directory.Sync();
    }
}
