using System.Diagnostics;

namespace Fabric.Interop.Tests.Grpc;

/// <summary>The programs in <c>node/</c>, beside the test's assembly, with the packages they need.</summary>
internal static class NodePrograms
{
    private static readonly TimeSpan InstallLimit = TimeSpan.FromMinutes(3);
    private static readonly Lazy<Task> Installed = new(InstallAsync);

    public static string Proto { get; } = Path.Combine(AppContext.BaseDirectory, "Grpc", "echo.proto");

    private static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "Grpc", "node");

    /// <summary>Starts a program; its standard streams are ours.</summary>
    public static async Task<Process> StartAsync(string program, params string[] arguments)
    {
        if (!Exists("node") || !Exists("npm"))
        {
            Assert.Ignore("node or npm is not installed");
        }

        await Installed.Value;
        return Start("node", [program, .. arguments]);
    }

    /// <summary>What a program wrote to its standard output until it ended well.</summary>
    public static async Task<string> OutputAsync(Process process, TimeSpan limit)
    {
        using var deadline = new CancellationTokenSource(limit);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(deadline.Token);
            var output = await process.StandardOutput.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            Assert.That(process.ExitCode, Is.Zero, await errors);
            return output;
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private static async Task InstallAsync()
    {
        // Exact versions in package.json; done once for a build of the tests.
        var stamp = Path.Combine(Folder, "node_modules", ".installed");
        var wanted = await File.ReadAllTextAsync(Path.Combine(Folder, "package.json"));
        if (File.Exists(stamp) && await File.ReadAllTextAsync(stamp) == wanted)
        {
            return;
        }

        using var npm = Start("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock"]);
        npm.StandardInput.Close();
        await OutputAsync(npm, InstallLimit);
        await File.WriteAllTextAsync(stamp, wanted);
    }

    private static Process Start(string program, string[] arguments) => Process.Start(
        new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;

    private static bool Exists(string program) => (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
        .Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, program)));
}
