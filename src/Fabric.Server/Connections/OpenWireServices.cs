using System.Diagnostics.CodeAnalysis;
using Fabric.Broker;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>What all connections of one listener share.</summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore holds nothing to dispose unless its wait handle is asked for.")]
internal sealed class OpenWireServices(FabricRuntime runtime, OpenWireOptions options, MessageBroker broker, ILogger logger)
{
    /// <summary>Bytes that may be set aside for all connections together.</summary>
    private const long ParkedBytesMax = 32 * 1024 * 1024;

    /// <summary>Connections that may read from the disk at a time: more would make its queue longer, in which the journal's own calls wait, and nothing faster.</summary>
    private const int DiskReadersMax = 8;

    private readonly long _origin = runtime.Time.GetTimestamp();
    private readonly SemaphoreSlim _diskReaders = new(DiskReadersMax);
    private long _parkedBytes;

    public FabricRuntime Runtime => runtime;

    public OpenWireOptions Options => options;

    public MessageBroker Broker => broker;

    public ILogger Logger => logger;

    /// <summary>Monotonic time.</summary>
    public TimeSpan Now => runtime.Time.GetElapsedTime(_origin);

    /// <summary>Wall clock as messages carry it: milliseconds since 1970.</summary>
    public long UnixMilliseconds => runtime.Time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Runs something that reads from the disk on a thread of its own, when it is its turn.</summary>
    /// <param name="name">Of the thread.</param>
    /// <param name="read">What blocks.</param>
    /// <param name="cancellationToken">Ends the wait for the turn.</param>
    public async Task ReadDiskAsync(string name, Action read, CancellationToken cancellationToken)
    {
        await _diskReaders.WaitAsync(cancellationToken);
        try
        {
            await runtime.Scheduler.StartThread(name, () =>
            {
                read();
                return Task.CompletedTask;
            });
        }
        finally
        {
            _diskReaders.Release();
        }
    }

    /// <summary>Takes a part of the memory for what is set aside, to be given back with <see cref="Unpark"/>. Thread-safe.</summary>
    /// <returns>False when there is not enough left.</returns>
    public bool TryPark(long bytes)
    {
        if (Interlocked.Add(ref _parkedBytes, bytes) <= ParkedBytesMax)
        {
            return true;
        }

        Unpark(bytes);
        return false;
    }

    /// <summary>Gives back what <see cref="TryPark"/> took.</summary>
    public void Unpark(long bytes) => Interlocked.Add(ref _parkedBytes, -bytes);
}
