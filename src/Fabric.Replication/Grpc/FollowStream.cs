using System.Runtime.CompilerServices;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Replication.Core;
using Wire = Fabric.Replication.Contracts;

namespace Fabric.Replication.Grpc;

/// <summary>A slave's end of a stream, in a connection of its own: batches do not stand in the way of promises.</summary>
internal sealed class FollowStream : IFollowStream
{
    private readonly GrpcChannel _channel;
    private readonly GrpcCall<Wire.FollowRequest, FollowFrame> _call;

    private FollowStream(GrpcChannel channel)
    {
        _channel = channel;
        _call = channel.Duplex(ReplicationMethods.Follow);
    }

    /// <summary>Takes the channel over, whatever happens.</summary>
    public static async Task<FollowStream> OpenAsync(GrpcChannel channel, FollowHello hello, CancellationToken cancellationToken)
    {
        var stream = new FollowStream(channel);
        try
        {
            await stream._call.Requests.WriteAsync(new Wire.FollowRequest { Hello = hello.ToWire() }, cancellationToken);
            return stream;
        }
        catch (Exception exception)
        {
            await stream.DisposeAsync();
            if (exception is GrpcException failure)
            {
                throw GrpcReplicaLink.Explain(failure);
            }

            throw;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<FollowFrame?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _call.Responses.MoveNextAsync(cancellationToken) ? _call.Responses.Current : null;
        }
        catch (GrpcException exception)
        {
            throw GrpcReplicaLink.Explain(exception);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask AcknowledgeAsync(FollowAck ack, CancellationToken cancellationToken)
    {
        try
        {
            await _call.Requests.WriteAsync(new Wire.FollowRequest { Ack = ack.ToWire() }, cancellationToken);
        }
        catch (GrpcException exception)
        {
            throw GrpcReplicaLink.Explain(exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _call.DisposeAsync();
        _channel.Dispose();
    }
}
