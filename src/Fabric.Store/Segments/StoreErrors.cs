using Fabric.Runtime.Disk;

namespace Fabric.Store.Segments;

/// <summary>Turns what the disk says into what a person needs to read.</summary>
internal static class StoreErrors
{
    public static bool IsDiskFull(Exception exception) => StoreUnavailableException.IsDiskFull(exception);

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
