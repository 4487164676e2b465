namespace Fabric.Runtime.Disk;

/// <summary>
/// Files and directories, as far as a store needs them. Paths are absolute. Methods block the calling thread, so loops that
/// use them much run on their own thread (<see cref="Scheduling.IScheduler.StartThread"/>). Failures are
/// <see cref="IOException"/> and <see cref="UnauthorizedAccessException"/>. Thread-safe.
/// </summary>
public interface IDisk
{
    /// <summary>Opens a file for reading and writing, or for reading alone.</summary>
    /// <exception cref="FileNotFoundException">
    /// The mode is <see cref="DiskFileMode.Open"/> or <see cref="DiskFileMode.Read"/> and there is no such file.
    /// </exception>
    /// <exception cref="IOException">The mode is <see cref="DiskFileMode.CreateNew"/> and the file exists, or the disk failed.</exception>
    IDiskFile Open(string path, DiskFileMode mode);

    bool FileExists(string path);

    bool DirectoryExists(string path);

    /// <summary>Creates the directory and its missing parents; does nothing when it exists.</summary>
    void CreateDirectory(string path);

    /// <summary>Names (not paths) of the files of a directory in ordinal order; empty when there is no such directory.</summary>
    IReadOnlyList<string> ListFiles(string directory);

    /// <summary>Renames a file, replacing the target atomically. Durable only after <see cref="SyncDirectory"/>.</summary>
    void Rename(string from, string to);

    /// <summary>Deletes a file; does nothing when it is absent. Durable only after <see cref="SyncDirectory"/>.</summary>
    void Delete(string path);

    /// <summary>Makes creations, renames and deletions in this directory survive a power loss.</summary>
    void SyncDirectory(string path);

    /// <summary>Bytes an unprivileged process may still write on the file system that holds the path.</summary>
    long FreeSpace(string path);

    /// <summary>
    /// Takes the exclusive lock of a directory (file <c>lock</c> in it) until disposed or until the process ends.
    /// </summary>
    /// <exception cref="DirectoryInUseException">Another owner holds it, in this process or another.</exception>
    IDisposable LockDirectory(string directory);
}

/// <summary>How <see cref="IDisk.Open"/> treats a present or absent file.</summary>
public enum DiskFileMode
{
    Open,
    OpenOrCreate,
    CreateNew,

    /// <summary>The file must be there, and is only read: no permission to write is needed.</summary>
    Read,
}

/// <summary>An open file. Reads may run beside one write; writes are made by one thread at a time.</summary>
public interface IDiskFile : IDisposable
{
    /// <summary>Length in bytes.</summary>
    long Length { get; }

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    /// <returns>Bytes read; less than the buffer's length only at the end of the file.</returns>
    int Read(Span<byte> buffer, long offset);

    /// <summary>Writes all bytes at the offset; extends the file if needed.</summary>
    void Write(ReadOnlySpan<byte> bytes, long offset);

    /// <summary>Sets the length in bytes; new bytes read as zero.</summary>
    void SetLength(long length);

    /// <summary>
    /// Makes all earlier writes survive a power loss. After a failure the state of the written bytes is unknown:
    /// the caller must treat the file as broken and never retry (the kernel marks failed pages clean).
    /// </summary>
    void Sync();
}

/// <summary>A directory is locked by another owner.</summary>
public sealed class DirectoryInUseException(string directory, string? owner)
    : IOException($"the directory {directory} is in use by {owner ?? "another process"}")
{
    public string Directory { get; } = directory;
}
