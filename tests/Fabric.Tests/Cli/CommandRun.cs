using Fabric.Cli.Frame;
using Fabric.Runtime;
using Fabric.Runtime.Processes;

namespace Fabric.Tests.Cli;

/// <summary>One run of the command line in this process.</summary>
internal sealed record CommandRun(int Code, string Out, string Error)
{
    public static Task<CommandRun> RunAsync(string directory, params string[] arguments) =>
        RunAsync(new SystemProcesses(TimeProvider.System), directory, arguments);

    public static async Task<CommandRun> RunAsync(IProcesses processes, string directory, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await new FabricCommandLine(new CliContext
        {
            Out = output,
            Error = error,
            Runtime = FabricRuntime.System,
            Processes = processes,
            Environment = _ => null,
            WorkingDirectory = directory,
        }).RunAsync(arguments);
        return new CommandRun(code, output.ToString(), error.ToString());
    }
}
