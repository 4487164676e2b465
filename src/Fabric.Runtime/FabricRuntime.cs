using System.Security.Cryptography;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Network;
using Fabric.Runtime.Scheduling;

namespace Fabric.Runtime;

/// <summary>
/// The outside world as one object: clock, disk, network, threads and randomness. Everything that ships takes it as a
/// constructor argument and touches none of these by another way, so that a simulator can replace all of them at once.
/// </summary>
/// <param name="Time">Wall clock (<c>GetUtcNow</c>), monotonic clock (<c>GetTimestamp</c>) and timers.</param>
/// <param name="Disk">Files and directories.</param>
/// <param name="Network">TCP and TLS connections.</param>
/// <param name="Scheduler">Where loops run.</param>
/// <param name="Random">Thread-safe source of randomness; not for secrets.</param>
public sealed record FabricRuntime(
    TimeProvider Time, IDisk Disk, INetwork Network, IScheduler Scheduler, Random Random)
{
    /// <summary>Fills memory with bytes that nobody can guess. Thread-safe.</summary>
    public Action<Memory<byte>> Secrets { get; init; } = static bytes => RandomNumberGenerator.Fill(bytes.Span);

    /// <summary>The machine's name, for people and in ids.</summary>
    public string MachineName { get; init; } = Environment.MachineName;

    /// <summary>The real machine. Thread-safe, one per process.</summary>
    public static FabricRuntime System { get; } =
        new(TimeProvider.System, new SystemDisk(), new SystemNetwork(), new SystemScheduler(), Random.Shared);
}
