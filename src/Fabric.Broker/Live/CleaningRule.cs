using Fabric.Store.Journal;

namespace Fabric.Broker.Live;

/// <summary>
/// When a master copies live messages forward so that segments can go. What is copied in the long run is no more than what has become dead meanwhile: a journal that is half dead is rewritten
/// once for every time that its live half has been written by clients.
/// </summary>
internal static class CleaningRule
{
    /// <summary>The journal may hold this many times what is live, and no more.</summary>
    private const int HeldPerLive = 2;

    /// <summary>Segments that are never worth it: they come and go with the checkpoints.</summary>
    private const int SegmentsTolerated = 4;

    /// <summary>With the disk nearly full it is worth writing all that is live for an eighth of it.</summary>
    private const int LivePerDeadWhenLow = 8;
    private const int SegmentsToleratedWhenLow = 2;

    /// <summary>Says whether to copy what is oldest.</summary>
    /// <param name="space">What the journal says.</param>
    /// <param name="oldest">The oldest record that is live.</param>
    /// <param name="end">Where what is known of it ends.</param>
    /// <param name="liveBytes">Bytes of the records that are live.</param>
    public static bool IsWorthwhile(in JournalSpace space, Position oldest, Position end, long liveBytes)
    {
        if (space.IsExhausted || space.Releasable - oldest < space.SegmentBytes)
        {
            return false;
        }

        var held = end - oldest;
        var dead = held - liveBytes;
        return space.IsLow
            ? dead > Math.Max(SegmentsToleratedWhenLow * space.SegmentBytes, liveBytes / LivePerDeadWhenLow)
            : held > Math.Max(SegmentsTolerated * space.SegmentBytes, HeldPerLive * liveBytes);
    }
}
