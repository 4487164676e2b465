using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Solo;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>The program around the node: command line, directory, log, signals, exit code.</summary>
internal static class Application
{
    /// <summary>Runs the program to its end.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="runtime">The outside world. Log files, the password's file and signals are the real ones in any case.</param>
    public static async Task<ExitCode> RunAsync(string[] arguments, FabricRuntime runtime)
    {
        try
        {
            return CommandLine.Parse(arguments, Environment.GetEnvironmentVariable, Environment.CurrentDirectory) switch
            {
                Request.Print print => Print(print.Text),
                Request.Stop stop => await StopCommand.RunAsync(runtime, new SystemProcesses(runtime.Time), stop),
                Request.Run run => await RunInFabricAsync(run.Options, runtime),
                Request.RunSolo solo => await RunSoloAsync(solo, runtime),
                var other => throw new InvalidOperationException($"unknown request {other}"),
            };
        }
        catch (NodeException exception)
        {
            // Nothing runs yet that has a log.
            return Fail(exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Of the files that come before the log: the password's, the pid file, the log itself.
            return Fail(new NodeException(ExitCode.LocalFailure, exception.Message, null, exception));
        }
    }

    private static async Task<ExitCode> RunInFabricAsync(NodeOptions options, FabricRuntime runtime)
    {
        Daemon.KeepFilesPrivate();
        using var directory = NodeDirectory.Take(runtime, options);
        var password = RegistryPassword.Find(options, Environment.GetEnvironmentVariable);
        return await RunAsync(options, runtime, directory, (processes, loggers, stop) =>
            new NodeLife(runtime, processes, options, password, loggers).RunAsync(stop));
    }

    private static async Task<ExitCode> RunSoloAsync(Request.RunSolo request, FabricRuntime runtime)
    {
        Daemon.KeepFilesPrivate();
        var file = SoloFile.Load(runtime.Disk, request.ConfigFile);
        var options = file.Options with { Detached = request.Detached, LogLevel = request.LogLevel };
        file = file with { Options = options };
        using var directory = NodeDirectory.Take(runtime, options);
        return await RunAsync(options, runtime, directory, (processes, loggers, stop) =>
            new SoloLife(runtime, processes, file, loggers).RunAsync(stop));
    }

    private static async Task<ExitCode> RunAsync(
        NodeOptions options, FabricRuntime runtime, NodeDirectory directory, Func<IProcesses, ILoggerFactory, StopRequests, Task> live)
    {
        if (options.Detached)
        {
            Daemon.Detach(options.OutputFile);
        }

        using var loggers = NodeLog.Open(options);
        var logger = loggers.CreateLogger("node");
        using var stop = new StopRequests(logger);
        var processes = new SystemProcesses(runtime.Time);
        directory.Sign(processes.Self);
        try
        {
            logger.LogInformation("fabricd {Version}: {Kind} {Name} in {Directory}, process {ProcessId}",
                NodeVersion.Text, options.IsRoot ? "root" : "container", options.Name, options.DataDirectory, processes.Self.Id);
            await live(processes, loggers, stop);
            directory.SignOff();
            logger.LogInformation("{Name} has stopped", options.Name);
            return ExitCode.Done;
        }
        catch (NodeException exception)
        {
            logger.LogCritical("{Reason}", exception.Message);
            directory.SignOff(); // it did not crash: there is no life to be continued
            return Fail(exception);
        }
        catch (Exception exception)
        {
            logger.LogCritical(exception, "A defect ends {Name}", options.Name);
            Console.Error.WriteLine($"error: a defect of fabricd: {exception.Message}; see {options.LogDirectory}");
            return ExitCode.Defect;
        }
    }

    private static ExitCode Print(string text)
    {
        Console.Out.WriteLine(text);
        return ExitCode.Done;
    }

    private static ExitCode Fail(NodeException exception)
    {
        Console.Error.WriteLine($"error: {exception.Message}");
        if (exception.Advice is { } advice)
        {
            Console.Error.WriteLine($"  try: {advice}");
        }

        return exception.Code;
    }
}
