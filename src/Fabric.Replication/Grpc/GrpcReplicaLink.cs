using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Grpc.Server;
using Fabric.Replication.Core;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication.Grpc;

/// <summary>
/// Replicas reach each other over gRPC, <c>proto/replication.proto</c>. Every promise, fetch and stream makes a connection of its own:
/// a refused connection then says for certain that no process is there, and a large batch delays nothing else. Thread-safe.
/// </summary>
public sealed class GrpcReplicaLink : IReplicaLink
{
    private readonly FabricRuntime _runtime;
    private readonly GrpcReplicaLinkOptions _options;
    private readonly ILogger? _logger;
    private GrpcServer? _server;

    public GrpcReplicaLink(FabricRuntime runtime, GrpcReplicaLinkOptions options, ILogger? logger = null) =>
        (_runtime, _options, _logger) = (runtime, options, logger);

    public Task<string> ListenAsync(IReplicaPeer peer, CancellationToken cancellationToken)
    {
        if (_server is not null)
        {
            throw new InvalidOperationException("the link listens already");
        }

        var settings = new GrpcServerOptions
        {
            MessageBytesMax = _options.MessageBytesMax,
            KeepAlivePingDelay = _options.KeepAlivePingDelay,
            KeepAlivePingTimeout = _options.KeepAlivePingTimeout,
            RunsInline = true,
            Runtime = _runtime,
        };
        cancellationToken.ThrowIfCancellationRequested();
        _server = GrpcServer.Start(_options.BindHost, _options.Port, [new ReplicaService(peer).Build()], settings, _logger);
        return Task.FromResult($"{_options.AdvertisedHost}:{_server.Port}");
    }

    public async Task<PromiseReply> PromiseAsync(
        string address, Guid storeId, PromiseRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var channel = Open(address);
        try
        {
            var reply = await channel.UnaryAsync(
                ReplicationMethods.Promise, request.ToWire(storeId), new GrpcCallOptions { Timeout = limit }, cancellationToken);
            return reply.ToCore();
        }
        catch (GrpcException exception)
        {
            throw Explain(exception);
        }
        catch (FormatException exception)
        {
            throw new ReplicaLinkException($"{address} answered nonsense: {exception.Message}", refused: false, exception);
        }
    }

    public async Task<IFollowStream> FollowAsync(string address, FollowHello hello, CancellationToken cancellationToken) =>
        await FollowStream.OpenAsync(Open(address), hello, cancellationToken);

    public async IAsyncEnumerable<JournalChunk> FetchAsync(
        string address, FetchRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var channel = Open(address);
        await using var call = channel.ServerStreaming(ReplicationMethods.Fetch, request.ToWire(), null, cancellationToken);
        while (await MoveNextAsync(call.Responses, cancellationToken))
        {
            yield return call.Responses.Current;
        }
    }

    public async IAsyncEnumerable<CopyFrame> CopyAsync(
        string address, CopyRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var channel = Open(address);
        await using var call = channel.ServerStreaming(ReplicationMethods.Copy, request.ToWire(), null, cancellationToken);
        while (await MoveNextAsync(call.Responses, cancellationToken))
        {
            yield return call.Responses.Current.ToCore();
        }
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;

    internal static ReplicaLinkException Explain(GrpcException exception)
    {
        var refused = exception.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionRefused };
        return new ReplicaLinkException(exception.Message, refused, exception);
    }

    private static async ValueTask<bool> MoveNextAsync<T>(GrpcReader<T> messages, CancellationToken cancellationToken)
    {
        try
        {
            return await messages.MoveNextAsync(cancellationToken);
        }
        catch (GrpcException exception)
        {
            throw Explain(exception);
        }
    }

    private GrpcChannel Open(string address)
    {
        var settings = new GrpcChannelOptions
        {
            MessageBytesMax = _options.MessageBytesMax,
            ConnectTimeout = _options.ConnectTimeout,
            KeepAlivePingDelay = _options.KeepAlivePingDelay,
            KeepAlivePingTimeout = _options.KeepAlivePingTimeout,
            RunsInline = true,
            Runtime = _runtime,
        };
        try
        {
            return new GrpcChannel(address, settings);
        }
        catch (FormatException exception)
        {
            throw new ReplicaLinkException(exception.Message, refused: false, exception);
        }
    }
}
