using System.Buffers;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Copy;

/// <summary>
/// A copy of another replica's journal, as it grows in a directory beside the journal that it is to replace: one of the other's checkpoints, and the committed records from its first
/// segment on. The records go through a <see cref="Journal"/> of their own, which checks, writes, syncs and, after a crash, recovers them as any other; it applies none of them.
/// </summary>
/// <remarks>
/// All of it is committed, so it is part of every later master's journal too, and a copy that was begun from one may be continued from another. Of what was received only the checkpoint has to be whole to
/// count; records count as far as they are synced. One caller at a time, on a thread of its own: the disk blocks it. Whoever uses it holds the lock of the journal's directory.
/// </remarks>
public sealed class JournalCopy : IAsyncDisposable
{
    /// <summary>The checkpoint in the side directory; never by its own name, so that the copy's journal takes no notice of it.</summary>
    internal const string CheckpointName = "copied.checkpoint";

    private const int SyncEveryBytes = 4 * 1024 * 1024;
    private const long UnsyncedBytesMax = 8 * 1024 * 1024;

    private readonly FabricRuntime _runtime;
    private readonly JournalOptions _replaced;
    private readonly Guid _storeId;
    private CopyState? _state;
    private Journal.Journal? _journal;
    private IDiskFile? _checkpoint; // while it is received
    private long _checkpointBytes; // received
    private long _checkpointBytesToCome;

    private JournalCopy(FabricRuntime runtime, JournalOptions replaced, Guid storeId) => (_runtime, _replaced, _storeId) = (runtime, replaced, storeId);

    /// <summary>The position of its checkpoint; null while it has none.</summary>
    public Position? Checkpoint => _state?.Checkpoint;

    /// <summary>Where the records end that it has; zero while it has none.</summary>
    public Position End => _journal?.End ?? Position.Zero;

    private string Side => DirectoryOf(_replaced.Directory);

    private IDisk Disk => _runtime.Disk;

    /// <summary>Opens what an earlier attempt has left, or begins with nothing. What is of no use any more is removed.</summary>
    /// <param name="runtime">Disk and time.</param>
    /// <param name="replaced">Of the journal that is to be replaced.</param>
    /// <param name="storeId">What the copy must belong to.</param>
    /// <param name="committed">What that journal knows to be committed: a checkpoint before it would forget some of that.</param>
    /// <param name="cancellationToken">Checked before it begins.</param>
    /// <exception cref="StoreException">The disk failed.</exception>
    /// <exception cref="DirectoryInUseException">An earlier attempt is not quite over.</exception>
    public static async Task<JournalCopy> OpenAsync(
        FabricRuntime runtime, JournalOptions replaced, Guid storeId, Position committed, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var copy = new JournalCopy(runtime, replaced, storeId);
        try
        {
            await runtime.Scheduler.StartThread("copy opening", () => copy.ResumeAsync(committed));
            return copy;
        }
        catch
        {
            await copy.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether there is a part of a copy, or a whole one that was not put to use.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    public static bool IsThere(IDisk disk, string directory) => disk.ListFiles(DirectoryOf(directory)).Count > 0;

    /// <summary>Removes all of a copy that is not open.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    public static void Discard(IDisk disk, string directory)
    {
        var side = DirectoryOf(directory);
        var names = disk.ListFiles(side);
        disk.Delete(Path.Combine(side, StoreFileNames.CopyState)); // first: what remains without it is nothing
        foreach (var name in names)
        {
            disk.Delete(Path.Combine(side, name));
        }

        if (names.Count > 0)
        {
            disk.SyncDirectory(side);
        }
    }

    /// <summary>Begins anew with another checkpoint; what was there is removed.</summary>
    /// <param name="first">Where the segments will begin.</param>
    /// <param name="checkpoint">The position of the checkpoint whose bytes follow (<see cref="AppendCheckpointAsync"/>).</param>
    /// <param name="checkpointBytes">Its length.</param>
    /// <exception cref="IOException">The disk failed.</exception>
    public async Task BeginAsync(Position first, Position checkpoint, long checkpointBytes)
    {
        await CloseAsync();
        Discard(Disk, _replaced.Directory);
        if (!Disk.DirectoryExists(Side))
        {
            Disk.CreateDirectory(Side);
            Disk.SyncDirectory(_replaced.Directory);
        }

        _state = new CopyState(_storeId, first, checkpoint, []);
        _checkpoint = Disk.Open(Path.Combine(Side, CheckpointName), DiskFileMode.OpenOrCreate);
        _checkpoint.SetLength(0);
        (_checkpointBytes, _checkpointBytesToCome) = (0, checkpointBytes);
    }

    /// <summary>Takes the next bytes of the checkpoint. With its last one it is checked, and counts.</summary>
    /// <exception cref="InvalidRecordsException">It is not expected, or damaged.</exception>
    /// <exception cref="IOException">The disk failed.</exception>
    public async ValueTask AppendCheckpointAsync(ReadOnlySequence<byte> bytes)
    {
        var file = _checkpoint ?? throw new InvalidRecordsException(End, "a checkpoint was not expected here");
        foreach (var piece in bytes)
        {
            file.Write(piece.Span, _checkpointBytes);
            _checkpointBytes += piece.Length;
        }

        if (_checkpointBytes / SyncEveryBytes > (_checkpointBytes - bytes.Length) / SyncEveryBytes)
        {
            file.Sync(); // in slices, so that the journal's own syncs do not queue behind all of it
        }

        _checkpointBytesToCome -= bytes.Length;
        if (_checkpointBytesToCome <= 0)
        {
            await EnsureJournalAsync();
        }
    }

    /// <summary>Takes the next bytes of the journal; ends when there is room for more.</summary>
    /// <exception cref="InvalidRecordsException">They are damaged or do not continue what is there; what was sound stays. Or the checkpoint is not there yet.</exception>
    /// <exception cref="StoreException">The disk failed.</exception>
    public async ValueTask AppendRecordsAsync(Position position, ReadOnlySequence<byte> bytes, CancellationToken cancellationToken)
    {
        var journal = await EnsureJournalAsync();
        journal.AppendReplicated(position, bytes);
        if (journal.End - journal.Durable > UnsyncedBytesMax)
        {
            await journal.WaitDurableAsync(journal.End, cancellationToken);
        }
    }

    /// <summary>Forgets the first part of a record whose rest will not come by this stream.</summary>
    public void DropPartialRecord() => _journal?.DropPartialRecord();

    /// <summary>Makes everything durable and closes it. It is whole then, and may take the journal's place (<see cref="JournalSwitch.Commit"/>).</summary>
    /// <param name="end">Where it must end, or later.</param>
    /// <exception cref="InvalidRecordsException">It does not reach as far.</exception>
    /// <exception cref="StoreException">The disk failed.</exception>
    public async Task<WholeCopy> FinishAsync(Position end)
    {
        var journal = await EnsureJournalAsync();
        journal.DropPartialRecord();
        var reached = journal.End;
        if (reached < end || reached < _state!.Checkpoint)
        {
            throw new InvalidRecordsException(reached, $"the copy ends here, and was to reach {Position.Max(end, _state!.Checkpoint)}");
        }

        await journal.WaitDurableAsync(reached);
        await CloseAsync();
        if (journal.Failure is { } failure)
        {
            throw new StoreException(failure.Message, failure);
        }

        Disk.SyncDirectory(Side);
        var segments = StoreDirectory.Read(Disk, Side).Where(file => file.Kind == StoreFileKind.Segment).Select(file => Path.GetFileName(file.Path));
        return new WholeCopy(_state with { Segments = [.. segments] }, reached);
    }

    /// <summary>Closes it; what is on disk stays, to be gone on with.</summary>
    public async ValueTask DisposeAsync() => await CloseAsync();

    internal static string DirectoryOf(string directory) => Path.Combine(directory, "copy");

    private async Task ResumeAsync(Position committed)
    {
        var path = Path.Combine(Side, StoreFileNames.CopyState);
        try
        {
            if (CopyState.TryRead(Disk, path) is { } state && state.StoreId == _storeId && state.Checkpoint >= committed && HasCheckpoint(state))
            {
                _state = state;
                await OpenJournalAsync(state);
                return;
            }
        }
        catch (StoreException exception) when (exception is not StoreUnavailableException)
        {
            _state = null; // damaged, or written by another version: it is only a copy
        }

        Discard(Disk, _replaced.Directory);
    }

    /// <summary>Whether the checkpoint on disk is sound, and the one that belongs to the segments.</summary>
    private bool HasCheckpoint(CopyState state)
    {
        var path = Path.Combine(Side, CheckpointName);
        if (!Disk.FileExists(path))
        {
            return false;
        }

        using var file = Disk.Open(path, DiskFileMode.Read);
        return CheckpointFile.TryReadHead(file, path) is { } head && head.Position == state.Checkpoint && head.Cleaned >= state.First;
    }

    private async ValueTask<Journal.Journal> EnsureJournalAsync()
    {
        if (_journal is not null)
        {
            return _journal;
        }

        if (_state is not { } state || _checkpoint is not { } file)
        {
            throw new InvalidRecordsException(Position.Zero, "a checkpoint must come first");
        }

        file.Sync();
        file.Dispose();
        _checkpoint = null;
        if (!HasCheckpoint(state))
        {
            throw new InvalidRecordsException(state.Checkpoint, "the checkpoint is damaged, or another one than was announced");
        }

        Disk.SyncDirectory(Side);
        state.Write(Disk, Side, StoreFileNames.CopyState); // from here on a restart goes on with it
        return await OpenJournalAsync(state);
    }

    private async Task<Journal.Journal> OpenJournalAsync(CopyState state)
    {
        var options = new JournalOptions
        {
            Directory = Side, SegmentBytes = _replaced.SegmentBytes, TailBytes = 1024 * 1024, FreeBytesLow = 0, Begins = state.First,
        };
        _journal = await Journal.Journal.OpenAsync(_runtime, options, new NoState(), new Nobody(), CancellationToken.None);
        return _journal;
    }

    private async Task CloseAsync()
    {
        _checkpoint?.Dispose();
        _checkpoint = null;
        if (_journal is { } journal)
        {
            _journal = null;
            await journal.DisposeAsync();
        }
    }

    /// <summary>Nothing is applied here: what is committed is known from elsewhere.</summary>
    private sealed class NoState : IStateMachine
    {
        public void Apply(in JournalRecord record) => throw new InvalidOperationException("a copy applies nothing");

        public void Flush(Position applied)
        {
        }

        public void WriteCheckpoint(IBufferWriter<byte> output) => throw new InvalidOperationException("a copy has no state");

        public void ReadCheckpoint(ReadOnlySpan<byte> input)
        {
        }

        public Position OldestLive(Position applied) => Position.Zero;
    }

    /// <summary>Whoever appends to the copy sees its failure.</summary>
    private sealed class Nobody : IJournalObserver
    {
        public void OnOffered(Position end, bool here)
        {
        }

        public void OnWritten(Position written)
        {
        }

        public void OnDurable(Position durable)
        {
        }

        public void OnApplied(Position applied)
        {
        }

        public void OnFailed(Exception cause)
        {
        }
    }
}
