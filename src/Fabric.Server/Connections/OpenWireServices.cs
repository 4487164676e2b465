using Fabric.Broker;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>What all connections of one listener share.</summary>
internal sealed class OpenWireServices(FabricRuntime runtime, OpenWireOptions options, MessageBroker broker, ILogger logger)
{
    private readonly long _origin = runtime.Time.GetTimestamp();

    public FabricRuntime Runtime => runtime;

    public OpenWireOptions Options => options;

    public MessageBroker Broker => broker;

    public ILogger Logger => logger;

    /// <summary>Monotonic time.</summary>
    public TimeSpan Now => runtime.Time.GetElapsedTime(_origin);

    /// <summary>Wall clock as messages carry it: milliseconds since 1970.</summary>
    public long UnixMilliseconds => runtime.Time.GetUtcNow().ToUnixTimeMilliseconds();
}
