using System.IO.Pipelines;

namespace Fabric.Grpc.Wire;

/// <summary>What readers and writers of messages need of a call, on either side.</summary>
internal abstract class CallPipes
{
    /// <summary>Ends with the call.</summary>
    public abstract CancellationToken Token { get; }

    /// <summary>The peer's bytes, once they may come.</summary>
    public abstract ValueTask<PipeReader> OpenInputAsync(CancellationToken cancellationToken);

    /// <summary>Our bytes' way, once they may go.</summary>
    public abstract ValueTask<PipeWriter> OpenOutputAsync(CancellationToken cancellationToken);

    /// <summary>The peer sends no more. Throws when that was not the good end.</summary>
    public abstract void OnInputEnded();

    /// <summary>Turns what the transport threw into what our caller is to see.</summary>
    public abstract Exception Explain(Exception exception, CancellationToken cancellationToken);
}

/// <summary>
/// Joins the token of a call with the token of an operation. Callers use one token for all operations of a stream as a rule, so the
/// joined one is kept: nothing is allocated per message.
/// </summary>
internal sealed class TokenJoint(CancellationToken call)
{
    private CancellationToken _other;
    private CancellationTokenSource? _joined;

    public CancellationToken With(CancellationToken other)
    {
        if (!other.CanBeCanceled || other == call)
        {
            return call;
        }

        if (_joined is null || other != _other)
        {
            _joined?.Dispose();
            _joined = CancellationTokenSource.CreateLinkedTokenSource(call, other);
            _other = other;
        }

        return _joined.Token;
    }

    public void Release()
    {
        _joined?.Dispose();
        _joined = null;
    }
}
