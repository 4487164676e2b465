using Fabric.Runtime.Disk;

namespace Fabric.Store.Segments;

/// <summary>Turns what the disk says into what a person needs to read.</summary>
internal static class StoreErrors
{
    private const int PosixIo = 5;
    private const int PosixBadMessage = 74; // a checksum of the file system's own
    private const int PosixNeedsCleaning = 117;
    private const int WindowsCrc = unchecked((int)0x80070017);

    public static bool IsDiskFull(Exception exception) => StoreUnavailableException.IsDiskFull(exception);

    /// <summary>Whether a read failed because the disk has lost what it held: that is how most rot shows.</summary>
    public static bool IsUnreadable(Exception exception) => exception is IOException
        && exception.HResult is PosixIo or PosixBadMessage or PosixNeedsCleaning or WindowsCrc;

    /// <summary>The failure as the store reports it; one that already is a store failure stays as it is.</summary>
    public static StoreException Wrap(Exception exception, IDisk disk, string directory)
    {
        if (exception is StoreException already)
        {
            return already;
        }

        if (StoreUnavailableException.IsOutOfFiles(exception))
        {
            return new StoreUnavailableException(
                $"the journal in {directory} cannot open its files, because the process or the machine has too many open: allow more (ulimit -n), or fewer connections; the replica comes back by itself", exception);
        }

        if (!IsDiskFull(exception))
        {
            return new StoreException($"the journal in {directory} failed: {exception.Message}", exception);
        }

        return new StoreUnavailableException(
            $"the disk that holds {directory} is full ({FreeSpace(disk, directory)}): free some space, and the replica comes back by itself", exception);
    }

    private static string FreeSpace(IDisk disk, string directory)
    {
        try
        {
            return $"{disk.FreeSpace(directory) / 1024} KiB free";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return "free space unknown";
        }
    }
}
