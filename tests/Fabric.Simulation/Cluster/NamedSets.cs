using Fabric.Replication;
using Fabric.Store.Journal;

namespace Fabric.Simulation.Cluster;

/// <summary>The replica sets that the brokers' journals name, and where: whose majority a commit or a promise may have been counted by.</summary>
internal sealed class NamedSets
{
    private readonly HashSet<object> _read = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<(Position At, string Members), ReplicaSet> _sets = [];

    /// <summary>The one that is named furthest on in any journal, committed or not; null while there is none.</summary>
    public ReplicaSet? Newest => _sets.Count > 0 ? _sets.MaxBy(set => set.Key.At).Value : null;

    /// <summary>The newest set that a journal names before a position.</summary>
    /// <param name="end">The position; zero for the end of the journal.</param>
    /// <param name="journal">The journal.</param>
    /// <returns>Null when it names none.</returns>
    public static ReplicaSet? Before(Position end, Journal journal)
    {
        foreach (var record in journal.SystemRecords.Reverse())
        {
            if (record.Kind == ReplicaSet.RecordKind && (end == Position.Zero || record.Position < end))
            {
                return ReplicaSet.Decode(record.Body.Span);
            }
        }

        return null;
    }

    public static string Describe(ReplicaSet? set) => set is null ? "whoever is there" : $"{{{string.Join(", ", set.Members.Select(member => member.Container))}}}";

    /// <summary>Remembers what a journal names, committed or not: a set counts from its append on.</summary>
    public void Learn(Journal journal)
    {
        var records = journal.SystemRecords; // another list whenever one is added
        if (!_read.Add(records))
        {
            return;
        }

        foreach (var record in records.Where(record => record.Kind == ReplicaSet.RecordKind))
        {
            var set = ReplicaSet.Decode(record.Body.Span);
            _sets[(record.Position, string.Join(' ', set.Members.Select(member => member.Id)))] = set;
        }
    }

    /// <summary>The sets by which what ends at a position may have been committed: the one in force there, and those that were appended before the commit was counted.</summary>
    /// <param name="end">Where it ends.</param>
    /// <param name="journal">A journal that has it.</param>
    public List<ReplicaSet?> Counting(Position end, Journal journal)
    {
        List<ReplicaSet?> sets = [.. _sets.Where(set => set.Key.At >= end).Select(set => set.Value)];
        if (Before(end, journal) is { } before)
        {
            sets.Add(before);
        }

        return sets.Count > 0 ? sets : [null];
    }
}
