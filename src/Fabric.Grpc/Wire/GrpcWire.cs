namespace Fabric.Grpc.Wire;

/// <summary>Sizes of the message framing.</summary>
internal static class GrpcWire
{
    /// <summary>A flag and a length before every message.</summary>
    public const int PrefixBytes = 5;
}
