using Fabric.Runtime;
using Fabric.Server.Node;

// What a socket brings is handled on the thread that polls the sockets, not handed to another one first: on a machine that many nodes
// share, half of a confirmed send's time is threads waking threads. The runtime reads this when the first socket is made; nothing of ours blocks there.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");

return (int)await Application.RunAsync(args, FabricRuntime.System);
