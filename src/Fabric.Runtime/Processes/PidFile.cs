using System.Globalization;
using System.Text;
using Fabric.Runtime.Disk;

namespace Fabric.Runtime.Processes;

/// <summary>
/// The file in a node's data directory that says which process runs it: the process id on the first line, its start mark on the
/// second. Written when the node starts, deleted when it stops in order; a file that names no living process tells of a crash.
/// </summary>
public static class PidFile
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "fabricd.pid";

    private const int BytesMax = 256;

    /// <summary>Writes the file, in one step as far as readers can see.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    public static void Write(IDisk disk, string directory, ProcessIdentity identity)
    {
        var path = Path.Combine(directory, Name);
        var beside = path + ".new";
        var text = string.Create(CultureInfo.InvariantCulture, $"{identity.Id}\n{identity.StartMark}\n");
        using (var file = disk.Open(beside, DiskFileMode.OpenOrCreate))
        {
            file.SetLength(0);
            file.Write(Encoding.ASCII.GetBytes(text), 0);
        }

        disk.Rename(beside, path);
    }

    /// <summary>The process that the file names, alive or not; null when there is no file or it is not one of ours.</summary>
    public static ProcessIdentity? Read(IDisk disk, string directory)
    {
        var path = Path.Combine(directory, Name);
        var bytes = new byte[BytesMax];
        int count;
        try
        {
            using var file = disk.Open(path, DiskFileMode.Open);
            count = file.Read(bytes, 0);
        }
        catch (IOException exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        var lines = Encoding.ASCII.GetString(bytes.AsSpan(0, count)).Split('\n');
        return lines.Length > 1
            && int.TryParse(lines[0], NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id > 0 && lines[1].Length > 0
                ? new ProcessIdentity(id, lines[1])
                : null;
    }

    /// <summary>Removes the file: the node has stopped in order.</summary>
    public static void Delete(IDisk disk, string directory) => disk.Delete(Path.Combine(directory, Name));
}
