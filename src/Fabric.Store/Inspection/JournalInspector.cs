using Fabric.Runtime;
using Fabric.Store.Journal;

namespace Fabric.Store.Inspection;

/// <summary>
/// Reads a journal's directory from outside, whether a broker uses it or not: every header, record, mark and checkpoint. It opens files for reading only,
/// takes no lock, and never changes a byte.
/// </summary>
/// <remarks>
/// A broker at work appends, cuts what is not committed, and recycles old segments while they are read. None of that can be taken for a sound record, because
/// a record's checksum covers its position; but it can be taken for damage. So what looks wrong is looked at again until it stays as it is: damage does.
/// What was read once is not read again; records before the committed position never change.
/// </remarks>
public sealed class JournalInspector(FabricRuntime runtime, string directory)
{
    /// <summary>A fault is believed when so many looks agree. A write is seen half done for as long as it takes, some milliseconds.</summary>
    private const int LooksThatAgree = 4;

    /// <summary>A second look tells whether the end moves.</summary>
    private const int LooksThatAgreeOnNothing = 2;

    /// <summary>A journal that is written to all the time looks torn at its end each time.</summary>
    private const int LooksAtMovingEnd = 8;

    /// <summary>How often the oldest segments may go away under our eyes before we give up.</summary>
    private const int LooksMax = 1000;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    /// <summary>Does not look a second time whether the end moves: what is read is only as good as at that moment anyway.</summary>
    internal bool IsQuick { get; init; }

    /// <summary>Reads records from a position on.</summary>
    /// <param name="from">Records that begin before it are not read; zero for all that are there.</param>
    /// <param name="until">Records that begin at it or later are not read; null for all.</param>
    /// <param name="visitor">Is shown what is read; may be null.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">The disk failed, or the visitor did.</exception>
    /// <exception cref="UnauthorizedAccessException">The files may not be read.</exception>
    public async Task<JournalReport> RunAsync(
        Position from, Position? until, IJournalVisitor? visitor, CancellationToken cancellationToken = default)
    {
        var walk = new JournalWalk(from, until, visitor);
        JournalFault? last = null;
        var (agreed, moved) = (0, 0);
        for (var look = 0; ; look++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var before = walk.At;
            var found = new InspectionPass(runtime.Disk, directory, walk).Run();
            var isSame = look > 0 && found == last && walk.At == before;
            (agreed, moved) = (isSame ? agreed + 1 : 1, look > 0 && !isSame ? moved + 1 : moved);
            last = found;
            if (agreed >= (found is null ? LooksThatAgreeOnNothing : LooksThatAgree) || (found is null && (moved > 0 || IsQuick)))
            {
                return walk.Report(directory, found, isMoving: moved > 0);
            }

            if ((moved >= LooksAtMovingEnd && found?.Position >= walk.Reached) || look >= LooksMax)
            {
                return walk.Report(directory, null, isMoving: true);
            }

            await Task.Delay(Pause, runtime.Time, cancellationToken);
        }
    }
}
