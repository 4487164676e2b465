using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Connections;

internal sealed class FabricDiscovery : IAsyncDisposable
{
    public FabricDiscovery(FabricRuntime runtime, ClientUrl url, FabricClientOptions options, BrokerList brokers, ILogger logger) =>
        throw new NotSupportedException("discovery:fabric: is not there yet");

    public void Start(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
