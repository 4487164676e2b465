using Fabric.Simulation.Disk;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server;
using Fabric.ZooKeeper.Server.Storage;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.Simulation.Ensemble;

/// <summary>Reads the leader's transactions from its disk, as far as they are durable there: no others have been told to anybody.</summary>
internal sealed class LeadersLog
{
    private readonly StorageDirectory _directory;
    private long _segment;
    private long _salt;
    private long _offset;

    /// <param name="disk">The leader's.</param>
    /// <param name="path">Where its data is.</param>
    public LeadersLog(DiskState disk, string path)
    {
        _directory = new StorageDirectory(new PlatterView(disk), path);
        State = _directory.ListSnapshots().Reverse().Select(zxid => SnapshotFile.TryRead(_directory, zxid)).FirstOrDefault(state => state is not null) ?? new ServerState();
        _segment = _directory.ListLogs().LastOrDefault(first => first <= State.LastZxid + 1, -1);
        Enter(_segment);
        foreach (var transaction in ReadOn())
        {
            State.Replay(transaction);
        }
    }

    /// <summary>What was durable when the log was opened. Whoever reads on brings it forward.</summary>
    public ServerState State { get; }

    /// <summary>The transactions that have become durable since, each to be replayed before the next is taken.</summary>
    public IEnumerable<Transaction> ReadOn()
    {
        while (true)
        {
            if (ReadBlock() is { } transactions)
            {
                foreach (var transaction in transactions.Where(transaction => transaction.Zxid > State.LastZxid))
                {
                    yield return transaction;
                }
            }
            else if (_directory.ListLogs() is var logs && logs.Contains(State.LastZxid + 1) && _segment != State.LastZxid + 1)
            {
                Enter(State.LastZxid + 1);
            }
            else
            {
                yield break;
            }
        }
    }

    private void Enter(long segment)
    {
        (_segment, _salt, _offset) = (segment, 0, BlockFileHeader.Length);
        var path = _directory.LogPath(segment);
        if (_directory.Disk.FileExists(path))
        {
            using var file = _directory.Disk.Open(path, Runtime.Disk.DiskFileMode.Read);
            _salt = BlockFileHeader.TryRead(file, path, BlockFileKind.Log, out var header) ? header.Salt : 0;
        }
    }

    private List<Transaction>? ReadBlock()
    {
        var path = _directory.LogPath(_segment);
        if (!_directory.Disk.FileExists(path))
        {
            return null;
        }

        if (_salt == 0)
        {
            Enter(_segment);
        }

        using var file = _directory.Disk.Open(path, Runtime.Disk.DiskFileMode.Read);
        if (_salt == 0 || !Block.TryRead(file, _offset, _salt, out var payload))
        {
            return null;
        }

        _offset += Block.HeaderLength + payload.Length;
        var transactions = new List<Transaction>();
        var reader = new JuteReader(payload.Span);
        while (reader.Remaining > 0)
        {
            transactions.Add(Transaction.Read(ref reader));
        }

        return transactions;
    }
}
