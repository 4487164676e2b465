using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Processes;

namespace Fabric.Server.Node;

/// <summary>
/// A node's data directory while the node holds it: locked against a second process, with a pid file that says who holds it. The pid
/// file goes only when the node stops in order; after a crash it stays, and the lock goes by itself.
/// </summary>
internal sealed class NodeDirectory : IDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly string _path;
    private readonly IDisposable _lock;

    private NodeDirectory(FabricRuntime runtime, string path, IDisposable held) => (_runtime, _path, _lock) = (runtime, path, held);

    /// <summary>Creates the directory when absent and takes hold of it.</summary>
    /// <exception cref="NodeException">Another process holds it, or it cannot be written (exit code 74).</exception>
    public static NodeDirectory Take(FabricRuntime runtime, NodeOptions options)
    {
        try
        {
            runtime.Disk.CreateDirectory(options.LogDirectory);
            return new NodeDirectory(runtime, options.DataDirectory, runtime.Disk.LockDirectory(options.DataDirectory));
        }
        catch (DirectoryInUseException exception)
        {
            throw new NodeException(
                ExitCode.LocalFailure, exception.Message, "stop that process, or choose another directory with --data", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new NodeException(
                ExitCode.LocalFailure, $"the data directory {options.DataDirectory} cannot be used: {exception.Message}", null, exception);
        }
    }

    /// <summary>Says in the pid file who runs here.</summary>
    public void Sign(ProcessIdentity identity) => PidFile.Write(_runtime.Disk, _path, identity);

    /// <summary>Says that the node has stopped in order: the last thing it does here.</summary>
    public void SignOff() => PidFile.Delete(_runtime.Disk, _path);

    public void Dispose() => _lock.Dispose();
}
