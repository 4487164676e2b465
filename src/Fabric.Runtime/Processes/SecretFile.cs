using System.Text;

namespace Fabric.Runtime.Processes;

/// <summary>A password in a file that only its owner can read: how processes are told secrets without showing them to others.</summary>
public static class SecretFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Writes the secret, readable by the owner only from its first byte on; replaces the file in one step.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    public static void Write(string path, string secret)
    {
        var beside = path + ".new";
        File.Delete(beside);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnerOnly;
        }

        using (var stream = new FileStream(beside, options))
        {
            stream.Write(Encoding.UTF8.GetBytes(secret));
            stream.Flush(flushToDisk: true);
        }

        File.Move(beside, path, overwrite: true);
    }

    /// <summary>Reads the secret, without the line's end that an editor may have added; null when there is no file.</summary>
    /// <exception cref="UnauthorizedAccessException">Others than the owner could read it, so it is no secret; or we cannot.</exception>
    /// <exception cref="IOException">The disk refused.</exception>
    public static string? Read(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & ~OwnerOnly) != 0)
        {
            throw new UnauthorizedAccessException($"{path} can be read by others than its owner; run: chmod 600 {path}");
        }

        return File.ReadAllText(path).TrimEnd('\r', '\n');
    }
}
