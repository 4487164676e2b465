namespace Fabric.Runtime.Disk;

/// <summary>Small files that are there as they were or as they are to be, and never in between.</summary>
public static class WholeFile
{
    /// <summary>Writes a file beside the one of its name, makes it durable, and puts it in its place; durable when it returns, with everything in the directory that was synced before.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">Must exist. The name with <c>.new</c> behind it is ours as well; what a crash left there is overwritten.</param>
    /// <param name="name">Of the file.</param>
    /// <param name="content">All of it.</param>
    /// <exception cref="IOException">The disk failed or is full; whether the old or the new content counts shows when it is read.</exception>
    public static void Write(IDisk disk, string directory, string name, ReadOnlySpan<byte> content)
    {
        var path = Path.Combine(directory, name);
        using (var file = disk.Open(path + ".new", DiskFileMode.OpenOrCreate))
        {
            file.SetLength(content.Length);
            file.Write(content, 0);
            file.Sync();
        }

        disk.Rename(path + ".new", path);
        disk.SyncDirectory(directory);
    }
}
