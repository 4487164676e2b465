using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>What replication itself has written in the journal: epochs and replica sets.</summary>
/// <remarks>Thread-safe.</remarks>
/// <param name="journal">The journal.</param>
/// <param name="firstSet">The set that counts until a record names one, and the identity of the store.</param>
internal sealed class ReplicaLog(Journal journal, ReplicaSet firstSet) : IReplicaLog
{
    private volatile SetRecord _newest = new(null, firstSet);

    public EpochTable Epochs
    {
        get
        {
            var (records, end) = journal.Shape;
            var starts = records
                .Where(record => record.Kind == EpochRecord.RecordKind)
                .Select(record => new EpochStart(EpochRecord.Decode(record.Body.Span).Epoch, record.Position))
                .ToArray();
            return new EpochTable(starts, end);
        }
    }

    public Position Committed => journal.Committed;

    public Position First => journal.First;

    public ReplicaSet Set => NewestSet().Set;

    public bool IsSetCommitted => NewestSet().Record is not { } record || record.Position < journal.Committed;

    /// <summary>Whether a record names the set; otherwise it is the first one.</summary>
    public bool HasSetRecord => NewestSet().Record is not null;

    /// <summary>
    /// Sets of another store are of the broker whose backup the journal began with, and say nothing about this one.
    /// </summary>
    private SetRecord NewestSet()
    {
        var records = journal.SystemRecords;
        var newest = _newest;
        for (var i = records.Count - 1; i >= 0; i--)
        {
            if (records[i].Kind != ReplicaSet.RecordKind)
            {
                continue;
            }

            if (records[i] == newest.Record)
            {
                return newest;
            }

            if (ReplicaSet.Decode(records[i].Body.Span) is var set && set.StoreId == firstSet.StoreId)
            {
                return _newest = new SetRecord(records[i], set);
            }
        }

        return newest.Record is null ? newest : _newest = new SetRecord(null, firstSet);
    }

    private sealed record SetRecord(SystemRecord? Record, ReplicaSet Set);
}
