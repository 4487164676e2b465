using Fabric.Replication.Core;
using Fabric.Simulation.Kernel;
using Fabric.Store.Journal;

namespace Fabric.Simulation.Cluster;

/// <summary>What must hold at every step, whatever goes wrong (O5, O6, O7).</summary>
internal sealed class Invariants(World world, ClusterUnderTest cluster)
{
    /// <summary>Steps between two looks: a state that must not be lasts longer than a few of them.</summary>
    private const int Interval = 16;

    private readonly SortedDictionary<Epoch, string> _masters = [];
    private readonly Seen[] _seen = [.. cluster.Brokers.Select(_ => new Seen())];
    private readonly byte[] _buffer = new byte[64 * 1024];
    private byte[] _canon = new byte[1024 * 1024];
    private long _canonEnd;
    private int _steps;

    /// <summary>Looks now and then.</summary>
    public void Check()
    {
        if (++_steps % Interval == 0)
        {
            CheckAll();
        }
    }

    public void CheckAll()
    {
        for (var number = 0; number < cluster.Brokers.Count; number++)
        {
            if (cluster.Brokers[number].Running is { } running)
            {
                CheckOne(number, running.Replica);
            }
        }
    }

    private void CheckOne(int number, Replication.Replica replica)
    {
        var name = cluster.Brokers[number].Host.Name;
        var seen = _seen[number];
        if (!ReferenceEquals(seen.Replica, replica))
        {
            (seen.Replica, seen.Committed, seen.Verified, seen.Copied) = (replica, Position.Zero, Position.Zero, false);
        }

        var status = replica.Status;
        if (status.Role is ReplicaRole.Starting or ReplicaRole.Master or ReplicaRole.Resigning)
        {
            if (_masters.TryGetValue(status.Epoch, out var master) && master != name)
            {
                throw new OracleException($"O6: epoch {status.Epoch} is led by {master} and by {name}");
            }

            _masters[status.Epoch] = name;
            cluster.NewestMaster = _masters.Last().Value;
        }

        if (status.Role is ReplicaRole.Candidate or ReplicaRole.Promised or ReplicaRole.Slave or ReplicaRole.Starting or ReplicaRole.Master
            && status.Promised < status.Epoch)
        {
            throw new OracleException($"O6: {name} is {status.Role} of epoch {status.Epoch}, and has promised only {status.Promised} on its disk");
        }

        cluster.Copies += status.IsCopying && !seen.Copied ? 1 : 0;
        seen.Copied |= status.IsCopying;
        var committed = replica.Journal.Committed;
        if (committed < seen.Committed)
        {
            throw new OracleException($"O7: {name} knew {seen.Committed} as committed and now {committed}");
        }

        seen.Committed = committed;
        if (cluster.Brokers[number].Host.Disk.IsRotten)
        {
            return; // the journal's raw bytes are what the disk makes of them; what is delivered is judged at the end
        }

        CompareCommitted(name, seen, replica.Journal);
    }

    private void CompareCommitted(string name, Seen seen, Journal journal)
    {
        var end = Position.Min(seen.Committed, journal.Sealed);
        if (seen.Verified < journal.First)
        {
            seen.Verified = journal.First;
        }

        while (seen.Verified < end && journal.Failure is null)
        {
            var wanted = (int)Math.Min(_buffer.Length, end - seen.Verified);
            var count = journal.CopyRecords(seen.Verified, _buffer.AsSpan(0, wanted));
            if (count == 0)
            {
                return; // one record is larger than what is committed so far, or it is being cut
            }

            Compare(name, seen.Verified, _buffer.AsSpan(0, count));
            seen.Verified += count;
        }
    }

    private void Compare(string name, Position from, ReadOnlySpan<byte> bytes)
    {
        var known = (int)Math.Clamp(_canonEnd - from.Value, 0, bytes.Length);
        if (!bytes[..known].SequenceEqual(_canon.AsSpan((int)from.Value, known)))
        {
            throw new OracleException($"O5: what {name} has committed from {from} on is not what others have committed there");
        }

        if (known == bytes.Length || from.Value > _canonEnd)
        {
            return;
        }

        while (_canon.Length < from.Value + bytes.Length)
        {
            Array.Resize(ref _canon, _canon.Length * 2);
        }

        bytes[known..].CopyTo(_canon.AsSpan((int)_canonEnd));
        _canonEnd = from.Value + bytes.Length;
        world.Trace.Note(_canonEnd);
    }

    private sealed class Seen
    {
        public Replication.Replica? Replica;
        public Position Committed;
        public Position Verified;
        public bool Copied;
    }
}
