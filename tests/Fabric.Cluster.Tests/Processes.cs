using System.Collections.Concurrent;
using System.Diagnostics;

namespace Fabric.Cluster.Tests;

/// <summary>What a program printed, and how it ended.</summary>
internal sealed record Outcome(int ExitCode, string Output, string Error)
{
    public override string ToString() => $"exit {ExitCode}\n{Output}\n{Error}";
}

/// <summary>Runs programs to their end, and keeps others running with their lines collected.</summary>
internal static class Processes
{
    public static async Task<Outcome> RunAsync(string program, IEnumerable<string> arguments, TimeSpan limit)
    {
        using var process = Start(program, arguments);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var timeout = new CancellationTokenSource(limit);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end within {limit}");
        }

        return new Outcome(process.ExitCode, await output, await error);
    }

    public static Process Start(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start) ?? throw new InvalidOperationException($"{program} could not be started");
    }

    /// <summary>kill -9, by process id.</summary>
    public static void Kill(int processId)
    {
        using var process = Process.GetProcessById(processId);
        process.Kill();
    }

    /// <inheritdoc cref="EventuallyAsync{T}(Func{Task{T}}, Func{T, bool}, TimeSpan, Func{string})"/>
    public static Task<T> EventuallyAsync<T>(Func<Task<T>> look, Func<T, bool> isGood, TimeSpan limit, string what) =>
        EventuallyAsync(look, isGood, limit, () => what);

    /// <summary>Waits for a condition; fails with what it last saw.</summary>
    public static async Task<T> EventuallyAsync<T>(Func<Task<T>> look, Func<T, bool> isGood, TimeSpan limit, Func<string> what)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var seen = await look();
            if (isGood(seen))
            {
                return seen;
            }

            Assert.That(clock.Elapsed, Is.LessThan(limit), () => $"last seen: {seen}; wanted: {what()}");
            await Task.Delay(100);
        }
    }
}

/// <summary>A program that runs beside a test, and whose lines are taken as they come.</summary>
internal sealed class RunningProgram : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly Task _reading;

    /// <param name="process">With its streams redirected.</param>
    /// <param name="line">Told each line of its standard output, one at a time.</param>
    public RunningProgram(Process process, Action<string> line)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, line), ReadAsync(process.StandardError, _errors.Enqueue));
    }

    public string Errors => string.Join('\n', _errors);

    /// <summary>Closes the program's input, which asks it to end, and waits until it has.</summary>
    public async Task FinishAsync(TimeSpan limit)
    {
        _process.StandardInput.Close();
        using var timeout = new CancellationTokenSource(limit);
        await _process.WaitForExitAsync(timeout.Token);
        await _reading;
        Assert.That(_process.ExitCode, Is.Zero, Errors);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _reading;
        _process.Dispose();
    }

    private static async Task ReadAsync(StreamReader reader, Action<string> take)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            take(line);
        }
    }
}
