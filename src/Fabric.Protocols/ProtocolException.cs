namespace Fabric.Protocols;

/// <summary>
/// The peer broke the rules of its protocol. What it sent cannot be understood, so the connection is of no further use:
/// close it, log once. The message says what was wrong and never repeats what a peer may have sent as a secret.
/// </summary>
public sealed class ProtocolException : Exception
{
    public ProtocolException(string message)
        : base(message)
    {
    }

    public ProtocolException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    private ProtocolException()
    {
    }
}
