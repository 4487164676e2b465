using Fabric.Grpc.Http2;

namespace Fabric.Grpc.Wire;

/// <summary>What readers and writers of messages need of a call, on either side.</summary>
internal abstract class CallTransport
{
    /// <summary>Ends with the call.</summary>
    public abstract CancellationToken Token { get; }

    /// <summary>The stream, once the peer's messages may come.</summary>
    public abstract ValueTask<Http2Stream> OpenInputAsync(CancellationToken cancellationToken);

    /// <summary>The stream, once our messages may go.</summary>
    public abstract ValueTask<Http2Stream> OpenOutputAsync(CancellationToken cancellationToken);

    /// <summary>The peer sends no more. Throws when that was not the good end.</summary>
    public abstract void OnInputEnded();

    /// <summary>Turns what the transport threw into what our caller is to see.</summary>
    public abstract Exception Explain(Exception exception, CancellationToken cancellationToken);
}
