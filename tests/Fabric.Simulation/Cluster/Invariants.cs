using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Simulation.Kernel;
using Fabric.Store.Journal;

namespace Fabric.Simulation.Cluster;

/// <summary>What must hold at every step, whatever goes wrong (O5, O6, O7), in the brokers' own words and on their disks.</summary>
internal sealed class Invariants(World world, ClusterUnderTest cluster)
{
    /// <summary>What a broker may have taken in since it was looked at.</summary>
    private const int Unseen = 64 * 1024;

    /// <summary>Steps between two looks: a state that must not be lasts longer than a few of them.</summary>
    private const int Interval = 16;

    private readonly SortedDictionary<Epoch, string> _masters = [];
    private readonly SortedDictionary<Epoch, string> _claimants = [];
    private readonly Platters _platters = new(cluster.Brokers, ClusterUnderTest.JournalDirectory);
    private readonly NamedSets _sets = new();
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

    /// <summary>A broker loses its disk: whatever it has is looked at once more, and forgotten.</summary>
    public void OnDiskLost(int number)
    {
        CheckAll();
        _platters.Forgive(number, _seen[number].End + Unseen);
        _seen[number] = new Seen();
    }

    public void CheckAll()
    {
        for (var number = 0; number < cluster.Brokers.Count; number++)
        {
            WatchRepair(number);
            if (cluster.Brokers[number].Running is { } running)
            {
                _sets.Learn(running.Replica.Journal);
            }
        }

        cluster.NewestSet = _sets.Newest;
        for (var number = 0; number < cluster.Brokers.Count; number++)
        {
            if (cluster.Brokers[number].Running is { } running)
            {
                CheckOne(number, running.Replica);
                CountRelocations(_seen[number], running.Broker.Relocations);
            }
        }
    }

    /// <summary>Only a journal of which something has rotted is taken for damaged: no crash leaves one, or a few of them at once would be the end of a group that has lost nothing.</summary>
    private void WatchRepair(int number)
    {
        var (broker, seen) = (cluster.Brokers[number], _seen[number]);
        if (broker.IsRepairing)
        {
            if (!seen.Repairing && !broker.Host.Disk.IsRotten)
            {
                throw new OracleException($"O8: {broker.Host.Name} repairs its journal, of which nothing has rotted: {broker.Problem}");
            }

            seen.Repairing = true;
        }
        else if (seen.Repairing && broker.Running is not null)
        {
            seen.Repairing = false;
            cluster.Repairs++;
            cluster.Come(Faults.Moment.Repaired, broker);
        }
    }

    private void CheckOne(int number, Replica replica)
    {
        var name = cluster.Brokers[number].Host.Name;
        var seen = _seen[number];
        if (!ReferenceEquals(seen.Replica, replica))
        {
            (seen.Replica, seen.Committed, seen.Verified, seen.Promised, seen.Copied) = (replica, Position.Zero, Position.Zero, Epoch.None, false);
            seen.Relocated = 0;
            seen.Shape = default;
        }

        var status = replica.Status;
        CheckHeld(number, replica.Journal);
        CheckClaims(name, status);
        if (status.Role is ReplicaRole.Starting or ReplicaRole.Master or ReplicaRole.Resigning)
        {
            if (_masters.TryGetValue(status.Epoch, out var master) && master != name)
            {
                throw new OracleException($"O6: epoch {status.Epoch} is led by {master} and by {name}");
            }

            if (master is null && NamedSets.Before(StartOf(status.Epoch, replica.Journal), replica.Journal) is var set && !_platters.IsPromisedByMajority(set, status.Epoch))
            {
                throw new OracleException($"O6: {name} leads epoch {status.Epoch}, which no majority of {NamedSets.Describe(set)} has promised on disk");
            }

            // One that comes too late to an epoch may lack what the next has committed, and can commit nothing.
            var isNewest = _masters.Count == 0 || _masters.Last().Key < status.Epoch;
            if (isNewest && !cluster.Brokers[number].Host.Disk.IsRotten)
            {
                CheckComplete(name, status.Epoch, replica.Journal);
            }

            _masters[status.Epoch] = name;
            cluster.NewestMaster = _masters.Last().Value;
            var shape = (status.Slaves.Count, status.Slaves.Count(slave => slave.IsMember));
            if (shape != seen.Shape && seen.Shape.Slaves > 0)
            {
                cluster.Come(Faults.Moment.Membership, cluster.Brokers[number]);
            }

            seen.Shape = shape;
        }

        if (status.Role is ReplicaRole.Candidate or ReplicaRole.Promised or ReplicaRole.Slave or ReplicaRole.Starting or ReplicaRole.Master
            && status.Promised < status.Epoch)
        {
            throw new OracleException($"O6: {name} is {status.Role} of epoch {status.Epoch}, and has promised only {status.Promised} on its disk");
        }

        cluster.Copies += status.IsCopying && !seen.Copied ? 1 : 0;
        seen.Copied |= status.IsCopying;
        if (status.Role is ReplicaRole.Slave or ReplicaRole.Starting or ReplicaRole.Master
            && status.Epoch < seen.Promised && replica.Journal.End > seen.End)
        {
            throw new OracleException($"O6: {name} is {status.Role} of epoch {status.Epoch} and takes records, but has promised {seen.Promised}");
        }

        (seen.Promised, seen.End) = (status.Promised, replica.Journal.End);
        var committed = replica.Journal.Committed;
        if (committed < seen.Committed)
        {
            throw new OracleException($"O7: {name} knew {seen.Committed} as committed and now {committed}");
        }

        if (committed > seen.Committed && status.Role is ReplicaRole.Starting or ReplicaRole.Master && committed <= StartOf(status.Epoch, replica.Journal))
        {
            throw new OracleException($"O7: {name} leads epoch {status.Epoch}, and has committed {committed} before any record of that epoch");
        }

        if (replica.Journal.Applied > committed)
        {
            throw new OracleException($"O5: {name} has applied {replica.Journal.Applied}, and committed only {committed}");
        }

        seen.Committed = committed;
        if (cluster.Brokers[number].Host.Disk.IsRotten)
        {
            return; // the journal's raw bytes are what the disk makes of them; what is delivered is judged at the end
        }

        CompareCommitted(name, seen, replica.Journal);
    }

    private void CountRelocations(Seen seen, long relocations)
    {
        cluster.Relocations += relocations - seen.Relocated;
        seen.Relocated = relocations;
    }

    /// <summary>Where an epoch begins in a journal; zero when it does not.</summary>
    private static Position StartOf(Epoch epoch, Journal journal) => journal.SystemRecords
        .FirstOrDefault(record => record.Kind == EpochRecord.RecordKind && EpochRecord.Decode(record.Body.Span).Epoch == epoch).Position;

    /// <summary>What a broker has had on its disk, committed, it has for ever, until it is cleaned away: whether it knew that it was committed, or only others did.</summary>
    private void CheckHeld(int number, Journal journal)
    {
        var (seen, disk) = (_seen[number], cluster.Brokers[number].Host.Disk);

        // Of a rotten disk the last batch may be lost: nothing on it says yet that it was there as a whole. And where bits rot twice, what vouches for the rest may rot too.
        var held = disk.Rots switch { 0 => seen.Held, 1 => seen.HeldBefore, _ => Position.Zero };
        if (journal.End < held)
        {
            throw new OracleException($"O7: {cluster.Brokers[number].Host.Name} had everything before {held}, committed, on its disk, and now it has {journal.End}");
        }

        var holds = Position.Min(journal.Durable, journal.Committed);
        if (!disk.IsRotten)
        {
            holds = AgreesUpTo(Position.Max(holds, seen.Held), journal);
        }

        if (holds > seen.Held)
        {
            (seen.HeldBefore, seen.Held) = (seen.Held, holds);
        }
    }

    /// <summary>How far what a journal has on disk behind a position is what was committed there.</summary>
    private Position AgreesUpTo(Position at, Journal journal)
    {
        var end = Math.Min(journal.Durable.Value, _canonEnd);
        while (at.Value < end && at >= journal.First && journal.Failure is null)
        {
            var count = journal.CopyRecords(at, _buffer.AsSpan(0, (int)Math.Min(_buffer.Length, end - at.Value)));
            if (count == 0 || !_buffer.AsSpan(0, count).SequenceEqual(_canon.AsSpan((int)at.Value, count)))
            {
                break;
            }

            at += count;
        }

        return at;
    }

    /// <summary>Who begins to lead the newest epoch has everything that was ever committed.</summary>
    private void CheckComplete(string name, Epoch epoch, Journal journal)
    {
        if (journal.Failure is not null)
        {
            return;
        }

        if (journal.Offered.Value < _canonEnd)
        {
            throw new OracleException($"O5: {name} leads epoch {epoch} with a journal that ends at {journal.Offered}, but everything before {_canonEnd} is committed");
        }

        for (var at = Math.Max(journal.Committed.Value, journal.First.Value); at < _canonEnd;)
        {
            var wanted = (int)Math.Min(_buffer.Length, _canonEnd - at);
            var count = journal.CopyRecords(new Position(at), _buffer.AsSpan(0, wanted));
            if (count == 0 || !_buffer.AsSpan(0, count).SequenceEqual(_canon.AsSpan((int)at, count)))
            {
                throw new OracleException($"O5: {name} leads epoch {epoch}, and what it has from {at} on is not what was committed there");
            }

            at += count;
        }
    }

    /// <summary>An epoch has one owner, unless the registry has forgotten whom it gave it to.</summary>
    private void CheckClaims(string name, ReplicaStatus status)
    {
        if (cluster.RegistryHasForgotten || status.Role is not (ReplicaRole.Candidate or ReplicaRole.Starting or ReplicaRole.Master))
        {
            return;
        }

        if (_claimants.TryGetValue(status.Epoch, out var other) && other != name)
        {
            throw new OracleException($"O6: epoch {status.Epoch} was won by {other} and by {name}");
        }

        if (other is null)
        {
            _claimants[status.Epoch] = name;
            cluster.Come(Faults.Moment.Election, cluster.Brokers.Find(broker => broker.Host.Name == name));
        }
    }

    private void CompareCommitted(string name, Seen seen, Journal journal)
    {
        var end = Position.Min(seen.Committed, journal.Offered);
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

            Compare(name, seen.Verified, _buffer.AsSpan(0, count), journal);
            seen.Verified += count;
        }
    }

    private void Compare(string name, Position from, ReadOnlySpan<byte> bytes, Journal journal)
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

        var sets = _sets.Counting(from + bytes.Length, journal);
        var isHeld = false;
        foreach (var set in sets)
        {
            isHeld |= _platters.IsHeldByMajority(set, from + known, bytes[known..]);
        }

        if (!isHeld)
        {
            throw new OracleException(
                $"O5: {name} has committed up to {from + bytes.Length} with {string.Join(" or ", sets.Select(NamedSets.Describe))}, "
                + $"but from {from + known} on there is on disk: {_platters.Describe(from + known, bytes[known..])}");
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
        public Replica? Replica;
        public Position Committed;
        public Position Verified;
        public bool Copied;
        public bool Repairing;
        public Position End;
        public Epoch Promised;
        public long Relocated;
        public (int Slaves, int Members) Shape;
        public Position Held;
        public Position HeldBefore;
    }
}
