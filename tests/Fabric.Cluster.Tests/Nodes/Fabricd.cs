using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Fabric.Cluster.Tests.Nodes;

/// <summary>A <c>fabricd</c> process that a test has started, with what it has printed.</summary>
internal sealed class Fabricd : IAsyncDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(5) };

    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private Fabricd(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _error = process.StandardError.ReadToEndAsync();
    }

    public int ProcessId => _process.Id;

    /// <summary>Where the build put the program, in the configuration that the tests were built in.</summary>
    public static string Program { get; } = FindProgram("Fabric.Server", "fabricd");

    /// <summary>The command line tool of the same build.</summary>
    public static string CommandLine { get; } = FindProgram("Fabric.Cli", "fabric");

    public static Fabricd Start(params string[] arguments) => Start(new Dictionary<string, string>(), arguments);

    /// <param name="environment">Further variables.</param>
    /// <param name="arguments">The command line.</param>
    /// <param name="program">Another program that takes the same command line; null for ours.</param>
    public static Fabricd Start(IReadOnlyDictionary<string, string> environment, string[] arguments, string? program = null)
    {
        var info = new ProcessStartInfo(program ?? Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        return new Fabricd(Process.Start(info)!);
    }

    /// <summary>Runs it to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments)
    {
        await using var fabricd = Start(arguments);
        return await fabricd.EndAsync();
    }

    /// <summary>Waits until it ends by itself.</summary>
    public async Task<(int ExitCode, string Output, string Error)> EndAsync()
    {
        using var limit = new CancellationTokenSource(Limit);
        await _process.WaitForExitAsync(limit.Token);
        return (_process.ExitCode, await _output, await _error);
    }

    /// <summary>All that it has printed, once it has ended.</summary>
    public async Task<string> PrintedAsync() => await _output + await _error;

    public void Signal(int number) => SendSignal(_process.Id, number);

    public static void SendSignal(int processId, int number)
    {
        using var kill = Process.Start("/bin/kill", [$"-{number}", processId.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>The body of an answer of a management port; null while there is none.</summary>
    public static async Task<JsonElement?> GetAsync(int port, string path, string host = "127.0.0.1")
    {
        try
        {
            using var response = await Http.GetAsync(new Uri($"http://{host}:{port}{path}"));
            using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
            return document.RootElement.Clone();
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            return null;
        }
    }

    /// <summary>Waits for a condition; fails with the description as it is then.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> what)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            if (clock.Elapsed > Limit)
            {
                Assert.Fail($"not within {Limit}: {what()}");
            }

            await Task.Delay(20);
        }
    }

    public static Task UntilAsync(Func<Task<bool>> condition, string what) => UntilAsync(condition, () => what);

    public static Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), () => what);

    /// <summary>Whether a process runs; one that waits to be collected by its parent does not.</summary>
    public static bool IsRunning(int processId)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{processId}/stat");
            return stat[stat.LastIndexOf(')') + 2] is not 'Z' and not 'X';
        }
        catch (IOException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await Task.WhenAll(_output, _error);
        _process.Dispose();
    }

    private static string FindProgram(string project, string program)
    {
        var output = new DirectoryInfo(AppContext.BaseDirectory);
        var (framework, configuration) = (output.Name, output.Parent!.Name);
        var root = output;
        while (!File.Exists(Path.Combine(root.FullName, "Fabric.sln")))
        {
            root = root.Parent ?? throw new InvalidOperationException("the tests run outside a checkout");
        }

        return Path.Combine(root.FullName, "src", project, "bin", configuration, framework, program);
    }
}
