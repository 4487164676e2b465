using Fabric.Cli.Frame;
using Fabric.Runtime;
using Fabric.Runtime.Processes;

return await new FabricCommandLine(new CliContext
{
    Out = Console.Out,
    Error = Console.Error,
    Runtime = FabricRuntime.System,
    Processes = new SystemProcesses(TimeProvider.System),
    Environment = Environment.GetEnvironmentVariable,
    WorkingDirectory = Environment.CurrentDirectory,
}).RunAsync(args).ConfigureAwait(false);
