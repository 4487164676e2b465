using System.Runtime.CompilerServices;
using Fabric.Grpc;
using Fabric.Grpc.Server;
using Fabric.Store;
using Wire = Fabric.Replication.Contracts;

namespace Fabric.Replication.Grpc;

/// <summary>What a replica answers over gRPC: each method checks and translates, the peer decides.</summary>
internal sealed class ReplicaService(IReplicaPeer peer)
{
    public GrpcService Build() => new GrpcService()
        .Unary(ReplicationMethods.Promise, (request, call) => CheckedAsync(() => PromiseAsync(request, call)))
        .Duplex(ReplicationMethods.Follow, (requests, frames, call) => CheckedAsync(() => FollowAsync(requests, frames, call)))
        .ServerStreaming(ReplicationMethods.Fetch, (request, chunks, call) => CheckedAsync(() => FetchAsync(request, chunks, call)))
        .ServerStreaming(ReplicationMethods.Copy, (request, frames, call) => CheckedAsync(() => CopyAsync(request, frames, call)));

    private async Task<Wire.PromiseReply> PromiseAsync(Wire.PromiseRequest wire, GrpcServerCall call)
    {
        var (storeId, request) = wire.ToCore();
        return (await peer.OnPromiseAsync(storeId, request, call.CancellationToken)).ToWire();
    }

    private async Task<bool> FollowAsync(GrpcReader<Wire.FollowRequest> requests, GrpcWriter<FollowFrame> frames, GrpcServerCall call)
    {
        if (!await requests.MoveNextAsync(call.CancellationToken) || requests.Current.Hello is not { } hello)
        {
            throw new FormatException("a slave's first message must be its hello");
        }

        var stream = new SlaveStream(requests, frames);
        await peer.OnFollowAsync(hello.ToCore(), stream, call.CancellationToken);
        return stream.Failure is null ? true : throw stream.Failure;
    }

    private async Task<bool> FetchAsync(Wire.FetchRequest request, GrpcWriter<JournalChunk> chunks, GrpcServerCall call)
    {
        await foreach (var chunk in peer.OnFetchAsync(request.ToCore(), call.CancellationToken))
        {
            await chunks.WriteAsync(chunk, call.CancellationToken);
        }

        return true;
    }

    private async Task<bool> CopyAsync(Wire.CopyRequest request, GrpcWriter<Wire.CopyReply> frames, GrpcServerCall call)
    {
        await foreach (var frame in peer.OnCopyAsync(request.ToCore(), call.CancellationToken))
        {
            await frames.WriteAsync(frame.ToWire(), call.CancellationToken);
        }

        return true;
    }

    /// <summary>The caller's mistakes and our refusals, as statuses.</summary>
    private static async Task<T> CheckedAsync<T>(Func<Task<T>> body)
    {
        try
        {
            return await body();
        }
        catch (FormatException exception)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, exception.Message, exception);
        }
        catch (Exception exception) when (exception is NotMasterException or StoreException or InvalidRecordsException)
        {
            throw new GrpcException(GrpcStatusCode.FailedPrecondition, exception.Message, exception);
        }
    }

    /// <summary>A master's end of a stream. What its reader finds wrong with the slave becomes the status of the call.</summary>
    private sealed class SlaveStream(GrpcReader<Wire.FollowRequest> requests, GrpcWriter<FollowFrame> frames) : ISlaveStream
    {
        public Exception? Failure { get; private set; }

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public async ValueTask<FollowAck?> ReadAsync(CancellationToken cancellationToken)
        {
            try
            {
                if (!await requests.MoveNextAsync(cancellationToken))
                {
                    return null;
                }
            }
            catch (GrpcException exception)
            {
                throw Broken(exception);
            }

            return requests.Current.Ack is { } ack
                ? ack.ToCore()
                : throw Broken(new FormatException("after its hello a slave sends acknowledgements only"));
        }

        public ValueTask WriteAsync(FollowFrame frame, CancellationToken cancellationToken) => frames.WriteAsync(frame, cancellationToken);

        private ReplicaLinkException Broken(Exception cause)
        {
            Failure = cause;
            return new ReplicaLinkException($"the slave's stream broke: {cause.Message}", refused: false, cause);
        }
    }
}
