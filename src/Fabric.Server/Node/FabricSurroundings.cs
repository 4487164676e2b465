using Fabric.Registry;
using Fabric.Registry.Election;
using Fabric.Registry.Membership;
using Fabric.Replication.Grpc;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>A fabric around a broker: its registry, and other containers that are reached by gRPC.</summary>
internal sealed class FabricSurroundings(FabricRuntime runtime, NodeOptions options, FabricRegistry registry) : IBrokerSurroundings
{
    public BrokerTies Tie(BrokerConfiguration configuration, bool isFirst, ILogger logger) => new(
        new GrpcReplicaLink(
            runtime,
            new GrpcReplicaLinkOptions { BindHost = options.BindHost, AdvertisedHost = options.EffectiveAdvertisedHost },
            logger),
        new RegistryCoordinator(new BrokerElection(registry, new ElectionOptions
        {
            Group = configuration.Group,
            Broker = configuration.Broker,
            Container = options.Name,
            ReplicaCount = configuration.Replicas,
        })),
        new GroupPresence(new GroupMember(registry, new MemberOptions
        {
            Group = configuration.Group,
            Broker = configuration.Broker,
            Container = isFirst ? options.Name : $"{options.Name}/{configuration.Broker}",
            Uuid = NewUuid(),
        }), logger));

    private Guid NewUuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        runtime.Random.NextBytes(bytes);
        return new Guid(bytes);
    }
}
