using Fabric.Grpc;
using Fabric.Replication.Contracts;

namespace Fabric.Replication.Grpc;

/// <summary>The methods of <c>fabric.v1.Replication</c>.</summary>
internal static class ReplicationMethods
{
    private const string Service = "fabric.v1.Replication";

    public static GrpcMethod<PromiseRequest, PromiseReply> Promise { get; } = new(
        Service, "Promise", GrpcMethodType.Unary, GrpcMarshaller.ForProtobuf<PromiseRequest>(), GrpcMarshaller.ForProtobuf<PromiseReply>());

    public static GrpcMethod<FollowRequest, FollowFrame> Follow { get; } = new(
        Service, "Follow", GrpcMethodType.DuplexStreaming, GrpcMarshaller.ForProtobuf<FollowRequest>(), new FollowFrameMarshaller());

    public static GrpcMethod<Contracts.FetchRequest, JournalChunk> Fetch { get; } = new(
        Service, "Fetch", GrpcMethodType.ServerStreaming, GrpcMarshaller.ForProtobuf<Contracts.FetchRequest>(), new JournalChunkMarshaller());

    public static GrpcMethod<Contracts.CopyRequest, CopyReply> Copy { get; } = new(
        Service, "Copy", GrpcMethodType.ServerStreaming, GrpcMarshaller.ForProtobuf<Contracts.CopyRequest>(), GrpcMarshaller.ForProtobuf<CopyReply>());
}
