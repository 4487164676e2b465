using Fabric.Cli.Frame;
using Fabric.Runtime;
using Fabric.Runtime.Processes;

namespace Fabric.Tests.Cli;

/// <summary>One run of the command line in this process.</summary>
internal sealed record CommandRun(int Code, string Out, string Error)
{
    public static async Task<CommandRun> RunAsync(string directory, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await new FabricCommandLine(new CliContext
        {
            Out = output,
            Error = error,
            Runtime = FabricRuntime.System,
            Processes = new SystemProcesses(TimeProvider.System),
            Environment = _ => null,
            WorkingDirectory = directory,
        }).RunAsync(arguments);
        return new CommandRun(code, output.ToString(), error.ToString());
    }
}
