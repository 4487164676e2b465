using Fabric.Broker;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>What all connections of one listener share.</summary>
internal sealed class OpenWireServices(FabricRuntime runtime, OpenWireOptions options, MessageBroker broker, ILogger logger)
{
    /// <summary>Bytes that may be set aside for all connections together.</summary>
    private const long ParkedBytesMax = 32 * 1024 * 1024;

    private readonly long _origin = runtime.Time.GetTimestamp();
    private long _parkedBytes;

    public FabricRuntime Runtime => runtime;

    public OpenWireOptions Options => options;

    public MessageBroker Broker => broker;

    public ILogger Logger => logger;

    /// <summary>Monotonic time.</summary>
    public TimeSpan Now => runtime.Time.GetElapsedTime(_origin);

    /// <summary>Wall clock as messages carry it: milliseconds since 1970.</summary>
    public long UnixMilliseconds => runtime.Time.GetUtcNow().ToUnixTimeMilliseconds();

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
