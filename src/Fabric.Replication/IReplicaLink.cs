using System.Buffers;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>How replicas reach each other: gRPC when real, memory when simulated.</summary>
public interface IReplicaLink : IAsyncDisposable
{
    /// <summary>Starts answering other replicas.</summary>
    /// <returns>The address they find us at, <c>host:port</c>.</returns>
    /// <exception cref="IOException">The port is in use.</exception>
    Task<string> ListenAsync(IReplicaPeer peer, CancellationToken cancellationToken);

    /// <summary>Asks a member for its promise.</summary>
    /// <exception cref="ReplicaLinkException">No answer.</exception>
    Task<PromiseReply> PromiseAsync(
        string address, Guid storeId, PromiseRequest request, TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>Opens a stream to a master and says hello.</summary>
    /// <param name="address">Where the master listens.</param>
    /// <param name="hello">The first frame.</param>
    /// <param name="cancellationToken">Gives the opening up. A stream that is open lives until it is disposed, whatever becomes of the token.</param>
    /// <exception cref="ReplicaLinkException">The master cannot be reached.</exception>
    Task<IFollowStream> FollowAsync(string address, FollowHello hello, CancellationToken cancellationToken);

    /// <summary>Fetches raw journal bytes from a member that has promised the epoch to us.</summary>
    /// <exception cref="ReplicaLinkException">The stream broke before its end.</exception>
    IAsyncEnumerable<JournalChunk> FetchAsync(string address, FetchRequest request, CancellationToken cancellationToken);

    /// <summary>Copies a master's journal. The bytes of a frame are valid until the next one.</summary>
    /// <exception cref="ReplicaLinkException">The stream broke before its end.</exception>
    IAsyncEnumerable<CopyFrame> CopyAsync(string address, CopyRequest request, CancellationToken cancellationToken);
}

/// <summary>What a replica answers to others. Called on the link's tasks.</summary>
public interface IReplicaPeer
{
    Task<PromiseReply> OnPromiseAsync(Guid storeId, PromiseRequest request, CancellationToken cancellationToken);

    /// <summary>Serves a slave until the stream or the mastership ends.</summary>
    Task OnFollowAsync(FollowHello hello, ISlaveStream stream, CancellationToken cancellationToken);

    /// <exception cref="Fabric.Store.NotMasterException">The epoch was not promised to this claimant.</exception>
    IAsyncEnumerable<JournalChunk> OnFetchAsync(FetchRequest request, CancellationToken cancellationToken);

    /// <exception cref="Fabric.Store.NotMasterException">This replica does not lead the epoch, or the asker is not in its set.</exception>
    /// <exception cref="Fabric.Store.StoreException">There is no sound checkpoint, or what comes next was cleaned away on a disk that is nearly full.</exception>
    IAsyncEnumerable<CopyFrame> OnCopyAsync(CopyRequest request, CancellationToken cancellationToken);
}

/// <summary>A slave's end of a stream. One reader, one writer.</summary>
public interface IFollowStream : IAsyncDisposable
{
    /// <summary>The next frame; null when the master ended the stream. Its bytes are valid until the next read.</summary>
    /// <exception cref="ReplicaLinkException">The stream broke.</exception>
    ValueTask<FollowFrame?> ReadAsync(CancellationToken cancellationToken);

    ValueTask AcknowledgeAsync(FollowAck ack, CancellationToken cancellationToken);
}

/// <summary>A master's end of a stream. One reader, one writer.</summary>
public interface ISlaveStream
{
    /// <summary>The next acknowledgement; null when the slave ended the stream.</summary>
    ValueTask<FollowAck?> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Sends a frame; its bytes may be reused when this ends.</summary>
    ValueTask WriteAsync(FollowFrame frame, CancellationToken cancellationToken);
}

/// <summary>Raw journal bytes from a position on.</summary>
public readonly record struct JournalChunk(Position Position, ReadOnlySequence<byte> Records);

/// <summary>What a claimant wants of a promiser's journal.</summary>
public sealed record FetchRequest(Guid StoreId, ReplicaId Candidate, Epoch Epoch, Position From, Position To);

/// <summary>What a slave wants a copy of.</summary>
/// <param name="StoreId">The data.</param>
/// <param name="Replica">The slave.</param>
/// <param name="Epoch">Of the mastership that it follows.</param>
/// <param name="Checkpoint">The position of the checkpoint that it has already; zero for none.</param>
/// <param name="End">Where the records end that it has behind that.</param>
public sealed record CopyRequest(Guid StoreId, ReplicaId Replica, Epoch Epoch, Position Checkpoint, Position End);

/// <summary>What a frame of a copy carries.</summary>
public enum CopyFrameKind
{
    Start,
    Checkpoint,
    Records,
}

/// <summary>One frame of a copy: first how it begins, then bytes.</summary>
public readonly record struct CopyFrame(CopyFrameKind Kind)
{
    /// <summary>Whether what the slave has is gone on with; otherwise a checkpoint comes first.</summary>
    public bool Resumes { get; init; }

    /// <summary>The position of the checkpoint.</summary>
    public Position Checkpoint { get; init; }

    /// <summary>The length of the checkpoint that follows, in bytes.</summary>
    public long CheckpointBytes { get; init; }

    /// <summary>In the first frame where the records will begin; later, of the first byte.</summary>
    public Position Position { get; init; }

    /// <summary>Where the copy is whole.</summary>
    public Position To { get; init; }

    /// <summary>Bytes of the checkpoint or of records.</summary>
    public ReadOnlySequence<byte> Bytes { get; init; }
}

/// <summary>How far a slave is, in the epoch of its stream.</summary>
/// <param name="Epoch">Of the stream's master.</param>
/// <param name="Received">What it has.</param>
/// <param name="Durable">What it has synced.</param>
/// <param name="IsSpaceLow">Whether its disk is nearly full (<see cref="JournalOptions.FreeBytesLow"/>).</param>
public readonly record struct FollowAck(Epoch Epoch, Position Received, Position Durable, bool IsSpaceLow = false);

/// <summary>What a frame from a master carries besides the epoch and the committed position.</summary>
public enum FollowFrameKind
{
    Heartbeat,
    Accepted,
    Refused,
    Batch,
    HandOver,
}

/// <summary>One frame from a master.</summary>
public readonly record struct FollowFrame(FollowFrameKind Kind, Epoch Epoch, Position Committed)
{
    /// <summary>What all members have synced, so that nobody needs it from another.</summary>
    public Position Everywhere { get; init; }

    /// <summary>The common position of an accepted frame, the first byte's position of a batch.</summary>
    public Position Position { get; init; }

    /// <summary>The bytes of a batch.</summary>
    public ReadOnlySequence<byte> Records { get; init; }

    /// <summary>In an accepted frame: the slave has to copy the master's journal, because what it lacks has been cleaned away or its own is damaged.</summary>
    public bool Copies { get; init; }

    /// <summary>Who accepts.</summary>
    public ReplicaId Master { get; init; }

    /// <summary>Why a slave is refused.</summary>
    public FollowRefusal Refusal { get; init; }

    /// <summary>The same in words.</summary>
    public string? Reason { get; init; }
}

/// <summary>Another replica did not answer, or stopped answering.</summary>
/// <param name="message">What happened.</param>
/// <param name="refused">No process listens at the address, so it is certainly not alive there.</param>
/// <param name="innerException">The cause.</param>
public sealed class ReplicaLinkException(string message, bool refused, Exception? innerException = null)
    : IOException(message, innerException)
{
    public bool Refused { get; } = refused;
}
