using Fabric.Store.Copy;
using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

/// <summary>
/// What the core wants done. The shell carries effects out in order and finishes each before the next, except those marked
/// "starts": they run on, and their outcome comes back as an input.
/// </summary>
public abstract record ReplicaEffect
{
    /// <summary>Stop taking bytes from a master; what was received is on disk when this is done.</summary>
    public sealed record StopFollowing : ReplicaEffect;

    /// <summary>Starts connecting to a master. Answers: FollowAccepted, FollowEnded.</summary>
    public sealed record StartFollowing(MasterAddress Master) : ReplicaEffect;

    /// <summary>Take bytes from the accepted stream.</summary>
    public sealed record TakeStream(Epoch Epoch) : ReplicaEffect;

    /// <summary>Starts copying the master's journal, beside the stream. Answers: Copied, CopyEnded.</summary>
    public sealed record StartCopying(MasterAddress Master) : ReplicaEffect;

    /// <summary>Remove what was copied of a journal, if anything was: it is not needed.</summary>
    public sealed record DiscardCopy : ReplicaEffect;

    /// <summary>Decide that the copy takes the journal's place; the next start acts on it.</summary>
    public sealed record SwitchJournal(WholeCopy Copy) : ReplicaEffect;

    /// <summary>Cut the journal's tail.</summary>
    public sealed record Truncate(Position End) : ReplicaEffect;

    /// <summary>Sync the promise to disk.</summary>
    public sealed record PersistPromise(Epoch Epoch) : ReplicaEffect;

    /// <summary>Answer a claim with <see cref="ReplicaCore.Grant"/>.</summary>
    public sealed record GrantPromise(long Token) : ReplicaEffect;

    /// <summary>Answer a claim with no.</summary>
    public sealed record RefusePromise(long Token, PromiseReply Reply) : ReplicaEffect;

    /// <summary>Starts publishing <see cref="ReplicaCore.Candidacy"/>. No answer but the next view of the registry.</summary>
    public sealed record PublishCandidacy(Epoch Round) : ReplicaEffect;

    /// <summary>Starts telling the registry what this replica is. No answer.</summary>
    public sealed record Publish(CandidateState State) : ReplicaEffect;

    /// <summary>Starts the versioned write of the epoch. Answer: ClaimEnded.</summary>
    public sealed record ClaimEpoch(Epoch Epoch, int ExpectedVersion) : ReplicaEffect;

    /// <summary>Starts asking all other members. Answers: PromiseReplied, PromiseFailed.</summary>
    public sealed record RequestPromises(PromiseRequest Request) : ReplicaEffect;

    /// <summary>Starts fetching a better tail from a promiser, cutting our own to the common position first. Answer: Adopted.</summary>
    public sealed record Adopt(Epoch Epoch, ReplicaId From, Position Common, Position End) : ReplicaEffect;

    /// <summary>Append the Epoch record and accept slaves. Answer: EpochCommitted.</summary>
    public sealed record StartLeading(Epoch Epoch) : ReplicaEffect;

    /// <summary>Answer a slave: take it from the common position on, or have it copy the journal.</summary>
    public sealed record AcceptSlave(long Token, Epoch Epoch, Position Common, bool Copies) : ReplicaEffect;

    /// <summary>Answer a slave: no.</summary>
    public sealed record RefuseSlave(long Token, FollowRefusal Refusal, string Reason, Epoch Promised) : ReplicaEffect;

    /// <summary>Let clients connect and wait: with some luck this replica leads in a moment. Nothing is answered yet.</summary>
    public sealed record PrepareServing : ReplicaEffect;

    /// <summary>Append the record of another set, which counts from then on.</summary>
    public sealed record ChangeSet(ReplicaSet Set) : ReplicaEffect;

    /// <summary>Take a replica that is no member: it is sent the journal and counts for nothing.</summary>
    public sealed record TakeLearner(ReplicaMember Learner) : ReplicaEffect;

    /// <summary>End the stream of a replica that is no member.</summary>
    public sealed record DropLearner(ReplicaId Learner) : ReplicaEffect;

    /// <summary>Starts writing the committed set to the registry, and that a change is done. Shows in the next view of the registry.</summary>
    public sealed record ShowSet(Epoch Epoch, ReplicaSet Set, Guid? Done) : ReplicaEffect;

    /// <summary>Starts opening connectors. No answer.</summary>
    public sealed record Serve(Epoch Epoch) : ReplicaEffect;

    /// <summary>
    /// Append and answer nothing more; close connectors and clients, but not before they find the next master when one is about to take
    /// over. Streams to slaves go on.
    /// </summary>
    public sealed record StopServing(string Reason, bool HandsOver = false) : ReplicaEffect;

    /// <summary>End the streams to slaves; forget acknowledgements.</summary>
    public sealed record StopLeading : ReplicaEffect;

    /// <summary>Tell a slave to claim.</summary>
    public sealed record HandOver(ReplicaId To) : ReplicaEffect;

    /// <summary>This replica is out: stopped cleanly, or for good because of the reason.</summary>
    public sealed record Retire(string? Failure) : ReplicaEffect;

    /// <summary>Tell people.</summary>
    public sealed record Note(string Text) : ReplicaEffect;
}
