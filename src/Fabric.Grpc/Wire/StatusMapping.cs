using Fabric.Grpc.Http2;

namespace Fabric.Grpc.Wire;

/// <summary>What HTTP says, in gRPC's codes.</summary>
internal static class StatusMapping
{
    /// <summary>For a response that is not from a gRPC server (a proxy, say). Table of <c>http-grpc-status-mapping.md</c>.</summary>
    public static GrpcStatusCode FromHttp(string? status) => status switch
    {
        "400" => GrpcStatusCode.Internal,
        "401" => GrpcStatusCode.Unauthenticated,
        "403" => GrpcStatusCode.PermissionDenied,
        "404" => GrpcStatusCode.Unimplemented,
        "429" or "502" or "503" or "504" => GrpcStatusCode.Unavailable,
        _ => GrpcStatusCode.Unknown,
    };

    /// <summary>For a failure of the connection or a stream reset. Reset codes: table "Errors" of <c>PROTOCOL-HTTP2.md</c>.</summary>
    public static GrpcStatusCode FromFailure(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is Http2StreamException reset)
            {
                return FromReset(reset.Error);
            }
        }

        return GrpcStatusCode.Unavailable;
    }

    private static GrpcStatusCode FromReset(Http2Error error) => error switch
    {
        Http2Error.None => GrpcStatusCode.Unavailable, // in order, but before the status
        Http2Error.RefusedStream => GrpcStatusCode.Unavailable,
        Http2Error.Cancel => GrpcStatusCode.Cancelled,
        Http2Error.EnhanceYourCalm => GrpcStatusCode.ResourceExhausted,
        Http2Error.InadequateSecurity => GrpcStatusCode.PermissionDenied,
        _ => GrpcStatusCode.Internal,
    };
}
