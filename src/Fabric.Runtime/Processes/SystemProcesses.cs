using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Fabric.Runtime.Processes;

/// <summary>The machine's processes, on POSIX systems; start marks need Linux's <c>/proc</c>.</summary>
public sealed class SystemProcesses : IProcesses
{
    /// <summary>How often a process that is not our child is looked at; nobody tells us when it ends.</summary>
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(200);

    private readonly TimeProvider _time;

    /// <param name="time">Paces the looks at processes that are not our children.</param>
    public SystemProcesses(TimeProvider time) => _time = time;

    public ProcessIdentity Self { get; } =
        new(Environment.ProcessId, ProcFile.StartMark(Environment.ProcessId) ?? throw new PlatformNotSupportedException(
            "processes cannot be told apart here: there is no /proc"));

    public ISupervisedProcess Start(ProcessStart start)
    {
        var info = new ProcessStartInfo(start.Program) { UseShellExecute = false };
        foreach (var argument in start.Arguments)
        {
            info.ArgumentList.Add(argument);
        }

        foreach (var variable in start.WithheldVariables)
        {
            info.Environment.Remove(variable);
        }

        try
        {
            var process = Process.Start(info) ?? throw new IOException($"{start.Program} could not be started");

            // A child that has ended already keeps its entry until it is waited for, so the mark may only be missing
            // when the runtime was quicker than we; then it is gone and its mark is compared with nothing any more.
            return new ChildProcess(process, new ProcessIdentity(process.Id, ProcFile.StartMark(process.Id) ?? "ended"));
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new IOException($"{start.Program} cannot be started: {exception.Message}", exception);
        }
    }

    public ISupervisedProcess? Find(ProcessIdentity identity) =>
        ProcFile.StartMark(identity.Id) == identity.StartMark ? new ForeignProcess(identity, _time) : null;

    private sealed class ChildProcess : ISupervisedProcess
    {
        private readonly Process _process;

        public ChildProcess(Process process, ProcessIdentity identity)
        {
            _process = process;
            Identity = identity;
            Ended = WaitAsync();
        }

        public ProcessIdentity Identity { get; }

        public Task<int?> Ended { get; }

        public void Terminate() => Signal(ProcessSignals.Terminate);

        public void Kill() => Signal(ProcessSignals.KillAtOnce);

        public void Signal(int number)
        {
            if (!Ended.IsCompleted)
            {
                _ = ProcessSignals.Kill(Identity.Id, number);
            }
        }

        public void Dispose() => Ended.ContinueWith(
            _ => _process.Dispose(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

        private async Task<int?> WaitAsync()
        {
            await _process.WaitForExitAsync().ConfigureAwait(false);
            return _process.ExitCode;
        }
    }

    private sealed class ForeignProcess : ISupervisedProcess
    {
        private readonly TimeProvider _time;
        private readonly CancellationTokenSource _released = new();

        public ForeignProcess(ProcessIdentity identity, TimeProvider time)
        {
            (Identity, _time) = (identity, time);
            Ended = WatchAsync(_released.Token);
        }

        public ProcessIdentity Identity { get; }

        public Task<int?> Ended { get; }

        private bool IsAlive => ProcFile.StartMark(Identity.Id) == Identity.StartMark;

        public void Terminate() => Signal(ProcessSignals.Terminate);

        public void Kill() => Signal(ProcessSignals.KillAtOnce);

        public void Signal(int number)
        {
            if (IsAlive)
            {
                _ = ProcessSignals.Kill(Identity.Id, number);
            }
        }

        public void Dispose() => _released.Cancel();

        private async Task<int?> WatchAsync(CancellationToken released)
        {
            while (IsAlive)
            {
                await Task.Delay(LookInterval, _time, released).ConfigureAwait(false);
            }

            return null;
        }
    }
}

/// <summary>Reads what the kernel tells about a process.</summary>
internal static class ProcFile
{
    private const int StateField = 0;
    private const int StartTimeField = 19;
    private static readonly string? Boot = ReadOrNull("/proc/sys/kernel/random/boot_id")?.Trim();

    /// <summary>
    /// Boot and clock tick at which the process started; null when there is no such process. One that has ended and waits to be
    /// collected counts as none: after its parent's death that may take for ever.
    /// </summary>
    public static string? StartMark(int processId)
    {
        var stat = ReadOrNull(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat"));
        if (stat is null)
        {
            return null;
        }

        // "pid (name) state ...": the name may hold blanks and parentheses, so count from the last one.
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return fields[StateField] is "Z" or "X" ? null : $"{Boot}:{fields[StartTimeField]}";
    }

    private static string? ReadOrNull(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return null; // no such process, or it ended while we read
        }
    }
}

internal static partial class ProcessSignals
{
    public const int KillAtOnce = 9;
    public const int Terminate = 15;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int processId, int signal);
}
