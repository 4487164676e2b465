using System.Net;

namespace Fabric.Grpc.Wire;

/// <summary>What HTTP says, in gRPC's codes.</summary>
internal static class StatusMapping
{
    /// <summary>For a response that is not from a gRPC server (a proxy, say). Table of <c>http-grpc-status-mapping.md</c>.</summary>
    public static GrpcStatusCode FromHttp(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest => GrpcStatusCode.Internal,
        HttpStatusCode.Unauthorized => GrpcStatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => GrpcStatusCode.PermissionDenied,
        HttpStatusCode.NotFound => GrpcStatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests
            or HttpStatusCode.BadGateway
            or HttpStatusCode.ServiceUnavailable
            or HttpStatusCode.GatewayTimeout => GrpcStatusCode.Unavailable,
        _ => GrpcStatusCode.Unknown,
    };

    /// <summary>For a failure of the connection or a stream reset. Reset codes: table "Errors" of <c>PROTOCOL-HTTP2.md</c>.</summary>
    public static GrpcStatusCode FromFailure(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is HttpProtocolException reset)
            {
                return FromReset(reset.ErrorCode);
            }
        }

        return GrpcStatusCode.Unavailable;
    }

    private static GrpcStatusCode FromReset(long code) => code switch
    {
        // NO_ERROR: the server closed the connection in order. A stream that is reset with it has its status already.
        0x0 => GrpcStatusCode.Unavailable,

        // PROTOCOL_ERROR: HttpClient uses it for a ping that was not answered. Between peers that speak HTTP/2 correctly there is no other.
        0x1 => GrpcStatusCode.Unavailable,
        0x7 => GrpcStatusCode.Unavailable, // REFUSED_STREAM
        0x8 => GrpcStatusCode.Cancelled, // CANCEL
        0xb => GrpcStatusCode.ResourceExhausted, // ENHANCE_YOUR_CALM
        0xc => GrpcStatusCode.PermissionDenied, // INADEQUATE_SECURITY
        _ => GrpcStatusCode.Internal,
    };
}
