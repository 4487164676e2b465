namespace Fabric.Client;

/// <summary>Something that a broker refused, or that could not reach one. Subclasses name what callers handle differently.</summary>
public class FabricException : Exception
{
    /// <summary>Creates one.</summary>
    public FabricException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <summary>The exception class that the broker named, as <c>javax.jms.JMSException</c>; null when no broker said it.</summary>
    public string? Reason { get; init; }

    /// <summary>True when the same call may succeed later.</summary>
    public virtual bool IsTransient => false;
}

/// <summary>There is no connection, and none will come by itself.</summary>
public class FabricConnectionException : FabricException
{
    /// <summary>Creates one.</summary>
    public FabricConnectionException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <inheritdoc/>
    public override bool IsTransient => true;
}

/// <summary>
/// The connection was lost while a message was on its way: it may be stored or not. Sending it again may store it twice.
/// </summary>
public sealed class SendOutcomeUnknownException : FabricConnectionException
{
    /// <summary>Creates one.</summary>
    public SendOutcomeUnknownException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>The user or the password is wrong, or the user may not do this.</summary>
public sealed class FabricSecurityException : FabricException
{
    /// <summary>Creates one.</summary>
    public FabricSecurityException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>There is no such destination, or it is none that can be used so.</summary>
public sealed class InvalidDestinationException : FabricException
{
    /// <summary>Creates one.</summary>
    public InvalidDestinationException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>A selector is no valid expression.</summary>
public sealed class InvalidSelectorException : FabricException
{
    /// <summary>Creates one.</summary>
    public InvalidSelectorException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>
/// A transaction did not take effect. When the connection broke during the commit itself, its outcome is not known; the broker
/// rolls back what it had not committed.
/// </summary>
public sealed class TransactionRolledBackException : FabricException
{
    /// <summary>Creates one.</summary>
    public TransactionRolledBackException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <inheritdoc/>
    public override bool IsTransient => true;
}

/// <summary>The broker has no room for the message now.</summary>
public sealed class ResourceAllocationException : FabricException
{
    /// <summary>Creates one.</summary>
    public ResourceAllocationException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <inheritdoc/>
    public override bool IsTransient => true;
}

/// <summary>A message's body is not what the receiver asked for.</summary>
public sealed class MessageFormatException : FabricException
{
    /// <summary>Creates one.</summary>
    public MessageFormatException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
