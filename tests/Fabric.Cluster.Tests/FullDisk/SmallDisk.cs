namespace Fabric.Cluster.Tests.FullDisk;

/// <summary>A disk of a few megabytes, in memory, that others fill and empty. Needs root, as mounting does.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private const string BallastName = "of-somebody-else";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private SmallDisk(string path) => Path = path;

    /// <summary>Where it is mounted.</summary>
    public string Path { get; }

    /// <summary>Bytes that are free, now.</summary>
    public long Free => new DriveInfo(Path).AvailableFreeSpace;

    private string Ballast => System.IO.Path.Combine(Path, BallastName);

    public static async Task<SmallDisk> MountAsync(int mebibytes)
    {
        var path = Directory.CreateTempSubdirectory("fabric-disk-").FullName;
        var mounted = await Processes.RunAsync("mount", ["-t", "tmpfs", "-o", $"size={mebibytes}m", "fabric-tests", path], Limit);
        Assert.That(mounted.ExitCode, Is.Zero, $"a small disk is mounted, as root: {mounted}");
        return new SmallDisk(path);
    }

    /// <summary>Takes all but so many bytes.</summary>
    public async Task FillAsync(long left)
    {
        await using var file = new FileStream(Ballast, FileMode.Append);
        var block = new byte[256 * 1024];
        while (Free - left is > 0 and var more)
        {
            try
            {
                await file.WriteAsync(block.AsMemory(0, (int)Math.Min(block.Length, more)));
                await file.FlushAsync();
            }
            catch (IOException)
            {
                return; // somebody was faster
            }
        }
    }

    /// <summary>Gives back what <see cref="FillAsync"/> took.</summary>
    public void Empty() => File.Delete(Ballast);

    public async ValueTask DisposeAsync()
    {
        await Processes.RunAsync("umount", ["--lazy", Path], Limit);
        Directory.Delete(Path);
    }
}
