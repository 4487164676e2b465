using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Copy;

/// <summary>The newest sound checkpoint of a journal as raw bytes, for another replica. It can be read to its end even when the journal has removed it meanwhile. One reader at a time.</summary>
public sealed class CheckpointReader : IDisposable
{
    private readonly IDiskFile _file;
    private readonly CheckpointHead _head;

    private CheckpointReader(IDiskFile file, CheckpointHead head) => (_file, _head, Bytes) = (file, head, file.Length);

    /// <summary>The state in it is that after all records before this position.</summary>
    public Position Position => _head.Position;

    /// <summary>Segments that lie wholly before it may be gone.</summary>
    public Position Cleaned => _head.Cleaned;

    /// <summary>Length, in bytes.</summary>
    public long Bytes { get; }

    /// <summary>Reads until the buffer is full or the checkpoint ends.</summary>
    /// <returns>Bytes read.</returns>
    public int Read(Span<byte> buffer, long offset) => _file.Read(buffer, offset);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Opens the newest one of a directory; null when there is none.</summary>
    internal static CheckpointReader? OpenNewest(IDisk disk, string directory)
    {
        foreach (var name in disk.ListFiles(directory).Where(StoreFileNames.IsCheckpoint).Reverse())
        {
            var path = Path.Combine(directory, name);
            IDiskFile file;
            try
            {
                file = disk.Open(path, DiskFileMode.Read);
            }
            catch (FileNotFoundException)
            {
                continue; // two newer ones came since the directory was read
            }

            if (CheckpointFile.TryReadHead(file, path) is { } head)
            {
                return new CheckpointReader(file, head);
            }

            file.Dispose();
        }

        return null;
    }
}
