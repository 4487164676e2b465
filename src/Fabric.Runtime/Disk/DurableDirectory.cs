namespace Fabric.Runtime.Disk;

/// <summary>Directories whose names survive a loss of power, and with them all that is in them.</summary>
public static class DurableDirectory
{
    /// <summary>Creates what is missing of a path; on disk when it returns. Does nothing when the directory is there.</summary>
    /// <param name="disk">Where it is to be.</param>
    /// <param name="path">An absolute path.</param>
    /// <exception cref="IOException">The disk failed or is full.</exception>
    public static void Create(IDisk disk, string path)
    {
        var made = new List<string>();
        for (var level = path; level is not null && !disk.DirectoryExists(level); level = Path.GetDirectoryName(level))
        {
            made.Add(level);
        }

        if (made.Count == 0)
        {
            return;
        }

        disk.CreateDirectory(path);
        foreach (var level in made)
        {
            disk.SyncDirectory(Path.GetDirectoryName(level) ?? level);
        }
    }
}
