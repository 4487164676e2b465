using System.Diagnostics.CodeAnalysis;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Copy;

/// <summary>
/// Puts a whole copy in the place of a journal. The decision is one file, the mark: before it is there the old journal is the journal, and from then on the copy is, wherever
/// its files lie. The next opening moves them and removes the old ones; when it is interrupted, the next but one goes on with that. Nothing else in the directory is touched, least of all what replication
/// keeps there.
/// </summary>
/// <remarks>
/// Files of the same name are told apart by where they lie: what is still in the side directory is the copy's, and what bears its name in the journal's directory is old. A name is
/// moved by a rename, so it is in one place or, after a loss of power, in both, and never in none.
/// </remarks>
public static class JournalSwitch
{
    /// <summary>Decides for the copy; on disk when it returns. The journal of the directory may be open, but must not be changed any more.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    /// <param name="copy">What <see cref="JournalCopy.FinishAsync"/> gave.</param>
    /// <exception cref="IOException">The disk failed; whether the decision is made shows at the next start.</exception>
    public static void Commit(IDisk disk, string directory, WholeCopy copy) => copy.State.Write(disk, directory, StoreFileNames.Switch);

    /// <summary>Removes a damaged journal in which nothing was ever stored; the next opening makes another. An interrupted one leaves a damaged journal, or none. Under the directory's lock.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    /// <param name="sign">What says that something was stored, for people; nothing is removed then.</param>
    /// <returns>Whether it is removed.</returns>
    /// <exception cref="StoreException">A later version wrote one of the files.</exception>
    /// <exception cref="IOException">The disk failed.</exception>
    public static bool TryBeginAnew(IDisk disk, string directory, [NotNullWhen(false)] out string? sign)
    {
        sign = JournalContent.FindSign(disk, directory);
        if (sign is null)
        {
            RemoveOld(disk, directory, []);
            JournalDamage.Clear(disk, directory);
        }

        return sign is null;
    }

    /// <summary>Does what was decided, if anything was. Under the directory's lock, before the journal is looked at.</summary>
    /// <exception cref="SegmentCorruptException">The mark is damaged or a file is missing.</exception>
    internal static void Finish(IDisk disk, string directory)
    {
        var mark = Path.Combine(directory, StoreFileNames.Switch);
        if (!disk.FileExists(mark))
        {
            return;
        }

        var state = CopyState.TryRead(disk, mark)
            ?? throw new SegmentCorruptException($"{mark} is damaged: which of two journals counts is not known");
        disk.SyncDirectory(directory); // the decision may be in memory only, and what follows must not outlive it

        var side = JournalCopy.DirectoryOf(directory);
        string[] names = [StoreFileNames.Checkpoint(state.Checkpoint), .. state.Segments];
        RemoveOld(disk, directory, names);
        foreach (var name in names)
        {
            Move(disk, Path.Combine(side, StoreFileNames.IsCheckpoint(name) ? JournalCopy.CheckpointName : name), Path.Combine(directory, name));
        }

        disk.SyncDirectory(directory); // given names before names that are taken away
        JournalCopy.Discard(disk, directory);
        JournalDamage.Clear(disk, directory); // while the switch is still there: what was lost is made good by all of it or by nothing
        disk.Delete(mark);
        disk.SyncDirectory(directory); // before anything is appended: a mark that comes back would have it removed
    }

    private static void RemoveOld(IDisk disk, string directory, string[] names)
    {
        foreach (var name in disk.ListFiles(directory))
        {
            var isJournals = StoreFileNames.IsSegment(name) || StoreFileNames.IsSpare(name) || StoreFileNames.IsCheckpoint(name)
                || name == StoreFileNames.CheckpointBeside;
            if (isJournals && !names.Contains(name))
            {
                disk.Delete(Path.Combine(directory, name));
            }
        }
    }

    private static void Move(IDisk disk, string from, string to)
    {
        if (disk.FileExists(from))
        {
            disk.Rename(from, to);
        }
        else if (!disk.FileExists(to))
        {
            throw new SegmentCorruptException($"{to} is missing: it was to come from {from} with a copy of the master's journal, and is in neither place");
        }
    }
}

/// <summary>A copy of which everything is on disk.</summary>
public sealed class WholeCopy
{
    internal WholeCopy(CopyState state, Position end) => (State, End) = (state, end);

    internal CopyState State { get; }

    /// <summary>Where it ends.</summary>
    public Position End { get; }

    /// <summary>Everything before it is known to be committed by whoever reads the copy.</summary>
    public Position Committed => State.Checkpoint;
}
