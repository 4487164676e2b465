using Fabric.PowerLoss;
using Fabric.Runtime;
using Fabric.Server.Node;

// fabricd as it ships, on a disk that forgets: what a power cut takes from the disk, kill -9 takes from this process.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
var unlinked = Environment.GetEnvironmentVariable("FABRIC_TEST_UNLINKED")
    ?? throw new InvalidOperationException("FABRIC_TEST_UNLINKED must name a directory beside the data, on the same file system");
return (int)await Application.RunAsync(args, FabricRuntime.System with { Disk = new ForgetfulDisk(unlinked) });
