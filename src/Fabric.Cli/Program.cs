using Fabric.Cli.Frame;
using Fabric.Runtime;
using Fabric.Runtime.Processes;

// What a socket brings is handled on the thread that saw it; nothing here blocks one. Read when the first socket is made.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");

return await new FabricCommandLine(new CliContext
{
    Out = Console.Out,
    Error = Console.Error,
    Runtime = FabricRuntime.System,
    Processes = new SystemProcesses(TimeProvider.System),
    Environment = Environment.GetEnvironmentVariable,
    WorkingDirectory = Environment.CurrentDirectory,
}).RunAsync(args).ConfigureAwait(false);
