using Fabric.Store.Journal;

namespace Fabric.Store;

/// <summary>The store failed: disk error, damage, or a full disk. The owner stops serving from it.</summary>
public class StoreException : IOException
{
    public StoreException(string message)
        : base(message)
    {
    }

    public StoreException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>
/// The disk is full, or it does not answer, or the process has too many files open. What it holds is as good as before, so the store may be opened again when that is over; nothing has to be repaired.
/// </summary>
public sealed class StoreUnavailableException : StoreException
{
    private const int PosixNoSpace = 28;
    private const int PosixQuota = 122;
    private const int WindowsDiskFull = unchecked((int)0x80070070);
    private const int WindowsHandleDiskFull = unchecked((int)0x80070027);
    private const int PosixTooManyFilesOnMachine = 23;
    private const int PosixTooManyFiles = 24;
    private const int WindowsTooManyFiles = unchecked((int)0x80070004);

    public StoreUnavailableException(string message)
        : base(message)
    {
    }

    public StoreUnavailableException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Refuses what a disk has room for and should keep for something else.</summary>
    internal static IOException NoRoom(string message) => new(message, OperatingSystem.IsWindows() ? WindowsDiskFull : PosixNoSpace);

    /// <summary>Whether a file could not be opened because the process, or the machine, has too many open.</summary>
    public static bool IsOutOfFiles(Exception exception) => exception is IOException
        && exception.HResult is PosixTooManyFiles or PosixTooManyFilesOnMachine or WindowsTooManyFiles;

    /// <summary>Whether a disk refused because there is no space left, or no quota.</summary>
    public static bool IsDiskFull(Exception exception) => exception is IOException
        && exception.HResult is PosixNoSpace or PosixQuota or WindowsDiskFull or WindowsHandleDiskFull;
}

/// <summary>A file was written by a later version of the program. To go on would be to guess, so nothing is read, changed or cut.</summary>
public sealed class NewerFormatException(string path, uint version, uint known)
    : StoreException($"{path} has format version {version}, and this program reads version {known}: run the program that wrote it, or a later one")
{
    /// <summary>The file.</summary>
    public string Path { get; } = path;
}

/// <summary>
/// A journal has lost something that it had synced: bytes are not what was written, or files are gone. The replica must not take part with it, and repairs it from its master.
/// </summary>
public sealed class SegmentCorruptException : StoreException
{
    public SegmentCorruptException(string segment, Position position, string reason)
        : base($"the segment {segment} is damaged at position {position}: {reason}") => Position = position;

    /// <param name="message">What is lost where, for people.</param>
    public SegmentCorruptException(string message)
        : base(message)
    {
    }

    /// <summary>The first position concerned, if that is known.</summary>
    public Position? Position { get; }

    /// <summary>Whether the disk could not read what was there, which may pass: the way to it may be what is broken.</summary>
    public bool IsUnreadable { get; init; }
}

/// <summary>A write was asked of a replica that is not master, or is not any more.</summary>
public sealed class NotMasterException(string? master)
    : InvalidOperationException(master is null ? "this replica is not master" : $"this replica is not master; {master} is")
{
    /// <summary>Who is master, if known.</summary>
    public string? Master { get; } = master;
}

/// <summary>
/// Bytes that another replica sent do not continue this journal, or were damaged on their way. Nothing of the record concerned was taken;
/// the stream they came by must be given up.
/// </summary>
public sealed class InvalidRecordsException(Position position, string reason)
    : IOException($"the bytes received for position {position} are not usable: {reason}")
{
    public Position Position { get; } = position;
}

/// <summary>What was asked for lies before the oldest segment.</summary>
public sealed class PositionCleanedException(Position position, Position first)
    : StoreException($"position {position} has been cleaned away; the oldest that is still there is {first}")
{
    public Position Position { get; } = position;
}
