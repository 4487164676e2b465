using System.Globalization;
using Fabric.Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Fabric.Grpc.Server;

/// <summary>Takes the requests that Kestrel brings, checks them, runs the method's body and sends the status.</summary>
internal sealed class CallDispatcher(
    IReadOnlyDictionary<string, Func<ServerCallPipes, GrpcServerOptions, Task>> bodies,
    GrpcServerOptions options,
    ILogger logger,
    CancellationToken stopping)
{
    public async Task DispatchAsync(HttpContext context)
    {
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }

        if (!WireNames.IsGrpc(context.Request.ContentType))
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        context.Response.ContentType = WireNames.ContentType;
        if (Refuse(context.Request, out var timeout, out var body) is { } refusal)
        {
            if (refusal.Code == GrpcStatusCode.Unimplemented)
            {
                context.Response.Headers[WireNames.AcceptEncoding] = WireNames.Identity;
            }

            End(context, refusal, new GrpcMetadata());
            return;
        }

        using var call = new ServerCallPipes(context, timeout, options.Time, stopping);
        var (status, trailers) = await RunAsync(call, body!);
        if (!context.RequestAborted.IsCancellationRequested)
        {
            End(context, status, trailers);
        }
    }

    private async Task<(GrpcStatus Status, GrpcMetadata Trailers)> RunAsync(
        ServerCallPipes call, Func<ServerCallPipes, GrpcServerOptions, Task> body)
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

    private GrpcStatus? Refuse(
        HttpRequest request, out TimeSpan? timeout, out Func<ServerCallPipes, GrpcServerOptions, Task>? body)
    {
        timeout = null;
        if (!bodies.TryGetValue(request.Path.Value ?? string.Empty, out body))
        {
            return new GrpcStatus(GrpcStatusCode.Unimplemented, $"there is no method {request.Path}");
        }

        var encoding = request.Headers[WireNames.Encoding].ToString();
        if (encoding.Length > 0 && encoding != WireNames.Identity)
        {
            return new GrpcStatus(GrpcStatusCode.Unimplemented, $"the encoding {encoding} is not supported");
        }

        var text = request.Headers[WireNames.Timeout].ToString();
        if (text.Length == 0)
        {
            return null;
        }

        if (!TimeoutText.TryDecode(text, out var limit))
        {
            return new GrpcStatus(GrpcStatusCode.Internal, $"malformed {WireNames.Timeout}");
        }

        timeout = limit;
        return null;
    }

    private static void End(HttpContext context, GrpcStatus status, GrpcMetadata trailers)
    {
        // When nothing has gone yet, status and metadata are the header block itself ("Trailers-Only").
        var target = context.Response.HasStarted
            ? context.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
            : context.Response.Headers;
        target[WireNames.Status] = ((int)status.Code).ToString(CultureInfo.InvariantCulture);
        if (!string.IsNullOrEmpty(status.Detail))
        {
            target[WireNames.Message] = PercentText.Encode(status.Detail);
        }

        foreach (var entry in trailers)
        {
            target.Append(entry.Key, entry.WireValue);
        }
    }
}
