namespace Fabric.Grpc.Wire;

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
