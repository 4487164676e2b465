using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Fabric.Runtime.Disk;

/// <summary>The machine's file system.</summary>
public sealed class SystemDisk : IDisk
{
    public IDiskFile Open(string path, DiskFileMode mode)
    {
        var fileMode = mode switch
        {
            DiskFileMode.Open or DiskFileMode.Read => FileMode.Open,
            DiskFileMode.OpenOrCreate => FileMode.OpenOrCreate,
            _ => FileMode.CreateNew,
        };
        var access = mode == DiskFileMode.Read ? FileAccess.Read : FileAccess.ReadWrite;
        return new SystemFile(File.OpenHandle(path, fileMode, access, FileShare.ReadWrite | FileShare.Delete));
    }

    public bool FileExists(string path) => File.Exists(path);

    public bool DirectoryExists(string path) => Directory.Exists(path);

    public void CreateDirectory(string path) => Directory.CreateDirectory(path);

    public IReadOnlyList<string> ListFiles(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return [];
        }

        var names = Directory.EnumerateFiles(directory).Select(path => Path.GetFileName(path)).ToArray();
        Array.Sort(names, StringComparer.Ordinal);
        return names;
    }

    public void Rename(string from, string to) => File.Move(from, to, overwrite: true);

    public void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (DirectoryNotFoundException)
        {
            // An absent parent means an absent file, which is what the caller asked for.
        }
    }

    public void SyncDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return; // NTFS journals its metadata; directories cannot be flushed through this interface.
        }

        var descriptor = Posix.Open(path, Posix.ReadOnly);
        if (descriptor < 0)
        {
            throw Posix.Failure($"cannot open the directory {path}");
        }

        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (!Posix.Completes(Posix.FSync, descriptor))
        {
            throw Posix.Failure($"cannot sync the directory {path}");
        }
    }

    public long FreeSpace(string path) => new DriveInfo(path).AvailableFreeSpace;

    public IDisposable LockDirectory(string directory)
    {
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, "lock");
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (IsHeldByAnother(exception))
        {
            throw new DirectoryInUseException(directory, OwnerOf(path));
        }

        try
        {
            RandomAccess.SetLength(handle, 0);
            RandomAccess.Write(handle, Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)), 0);
        }
        catch (IOException)
        {
            // Who holds it is for people; a full disk does not keep it from being held.
        }

        return handle;
    }

    private static bool IsHeldByAnother(IOException exception) => exception.HResult is Posix.WouldBlock or Posix.WouldBlockOnMac
        or unchecked((int)0x80070020) or unchecked((int)0x80070021); // a sharing violation, a locked region

    private static string? OwnerOf(string path)
    {
        // The owner holds an exclusive advisory lock; reading by plain system calls does not ask for one.
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        var descriptor = Posix.Open(path, Posix.ReadOnly);
        if (descriptor < 0)
        {
            return null;
        }

        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        Span<byte> text = stackalloc byte[20];
        var count = RandomAccess.Read(handle, text, 0);
        return count == 0 ? null : $"process {Encoding.ASCII.GetString(text[..count])}";
    }
}

internal sealed class SystemFile(SafeFileHandle handle) : IDiskFile
{
    public long Length => RandomAccess.GetLength(handle);

    public int Read(Span<byte> buffer, long offset)
    {
        var total = 0;
        while (total < buffer.Length)
        {
            var count = RandomAccess.Read(handle, buffer[total..], offset + total);
            if (count == 0)
            {
                break;
            }

            total += count;
        }

        return total;
    }

    public void Write(ReadOnlySpan<byte> bytes, long offset) => RandomAccess.Write(handle, bytes, offset);

    public void SetLength(long length) => RandomAccess.SetLength(handle, length);

    public void Sync()
    {
        if (!OperatingSystem.IsLinux())
        {
            RandomAccess.FlushToDisk(handle);
            return;
        }

        // fdatasync: a write into a preallocated segment changes no metadata that a reader needs.
        var added = false;
        try
        {
            handle.DangerousAddRef(ref added);
            if (!Posix.Completes(Posix.FDataSync, (int)handle.DangerousGetHandle()))
            {
                throw Posix.Failure("fdatasync failed");
            }
        }
        finally
        {
            if (added)
            {
                handle.DangerousRelease();
            }
        }
    }

    public void Dispose() => handle.Dispose();
}

internal static partial class Posix
{
    public const int ReadOnly = 0;
    public const int WouldBlock = 11;
    public const int WouldBlockOnMac = 35;
    private const int Interrupted = 4;

    /// <summary>Whether a call succeeds; one that a signal interrupts is made again.</summary>
    public static bool Completes(Func<int, int> call, int descriptor)
    {
        while (call(descriptor) != 0)
        {
            if (Marshal.GetLastPInvokeError() != Interrupted)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>What the last call said. Its number is what tells a full disk, say, from a broken one.</summary>
    public static IOException Failure(string what)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"{what}: {Marshal.GetPInvokeErrorMessage(error)} (error {error})", error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int FDataSync(int descriptor);
}
