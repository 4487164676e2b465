using Fabric.Grpc.Http2;
using Fabric.Grpc.Wire;
using Microsoft.Extensions.Logging;

namespace Fabric.Grpc.Server;

/// <summary>Takes the requests that a connection brings, checks them, runs the method's body and sends the status.</summary>
internal sealed class CallDispatcher(
    IReadOnlyDictionary<string, Func<ServerCallTransport, GrpcServerOptions, Task>> bodies,
    GrpcServerOptions options,
    ILogger logger,
    CancellationToken stopping)
{
    private const int EchoMax = 200;

    public async Task DispatchAsync(Http2Stream stream, string peer)
    {
        var request = new Request(await stream.Headers);
        if (request.Method != "POST")
        {
            stream.WriteHeaders([new HeaderField(":status", "405"), new HeaderField("allow", "POST")], isLast: true);
            return;
        }

        if (!WireNames.IsGrpc(request.ContentType))
        {
            stream.WriteHeaders([new HeaderField(":status", "415")], isLast: true);
            return;
        }

        if (Refuse(request, out var timeout, out var body) is { } refusal)
        {
            var fields = ResponseHeaders.Begin();
            if (refusal.Code == GrpcStatusCode.Unimplemented)
            {
                fields.Add(new HeaderField(WireNames.AcceptEncoding, WireNames.Identity));
            }

            ResponseHeaders.AddStatus(fields, refusal);
            stream.WriteHeaders(fields, isLast: true);
            return;
        }

        using var call = new ServerCallTransport(
            stream, request.Path, peer, request.Metadata, timeout, options.Runtime.Time, stopping);
        var (status, trailers) = await RunAsync(call, body!);
        call.End(status, trailers);
    }

    private async Task<(GrpcStatus Status, GrpcMetadata Trailers)> RunAsync(
        ServerCallTransport call, Func<ServerCallTransport, GrpcServerOptions, Task> body)
    {
        try
        {
            await body(call, options);
            return (GrpcStatus.Ok, call.Call.Trailers);
        }
        catch (GrpcException exception)
        {
            return (exception.Status, exception.Trailers.Count > 0 ? exception.Trailers : call.Call.Trailers);
        }
        catch (OperationCanceledException) when (call.Token.IsCancellationRequested)
        {
            return (call.CancellationStatus, call.Call.Trailers);
        }
        catch (Exception exception)
        {
            // The top of the call: whatever the body let through ends here, and only this call with it.
            logger.LogError(exception, "{Path}, called by {Peer}, failed", call.Call.Path, call.Call.Peer);
            return (new GrpcStatus(GrpcStatusCode.Unknown, "the service failed"), call.Call.Trailers);
        }
    }

    /// <summary>As much of a text of the caller's as it gets back.</summary>
    private static string Shorten(string text) => text.Length > EchoMax ? $"{text.AsSpan(0, EchoMax)}..." : text;

    private GrpcStatus? Refuse(
        Request request, out TimeSpan? timeout, out Func<ServerCallTransport, GrpcServerOptions, Task>? body)
    {
        timeout = null;
        if (!bodies.TryGetValue(request.Path, out body))
        {
            return new GrpcStatus(GrpcStatusCode.Unimplemented, $"there is no method {Shorten(request.Path)}");
        }

        if (request.Encoding is { } encoding and not WireNames.Identity)
        {
            return new GrpcStatus(GrpcStatusCode.Unimplemented, $"the encoding {encoding} is not supported");
        }

        if (request.Timeout is null)
        {
            return null;
        }

        if (!TimeoutText.TryDecode(request.Timeout, out var limit))
        {
            return new GrpcStatus(GrpcStatusCode.Internal, $"malformed {WireNames.Timeout}");
        }

        timeout = limit;
        return null;
    }

    /// <summary>What a request's headers say.</summary>
    private sealed class Request
    {
        public Request(IReadOnlyList<HeaderField> headers)
        {
            foreach (var (name, value) in headers)
            {
                switch (name)
                {
                    case ":method":
                        Method = value;
                        break;
                    case ":path":
                        Path = value;
                        break;
                    case "content-type":
                        ContentType = value;
                        break;
                    case WireNames.Encoding:
                        Encoding = value;
                        break;
                    case WireNames.Timeout:
                        Timeout = value;
                        break;
                    default:
                        Metadata.AddFromWire(name, value);
                        break;
                }
            }
        }

        public string Method { get; } = string.Empty;

        public string Path { get; } = string.Empty;

        public string? ContentType { get; }

        public string? Encoding { get; }

        public string? Timeout { get; }

        public GrpcMetadata Metadata { get; } = new();
    }
}
