using Fabric.Protocols.OpenWire;

namespace Fabric.Client.Connections;

/// <summary>A broker's refusal, before it is known what that means to the application.</summary>
internal sealed class BrokerErrorException(BrokerError error) : Exception(error.Message ?? error.ClassName)
{
    public BrokerError Error { get; } = error;

    /// <summary>The exception that the application gets.</summary>
    public static FabricException Translate(BrokerError error)
    {
        var message = error.Message ?? error.ClassName;
        var name = error.ClassName[(error.ClassName.LastIndexOf('.') + 1)..];
        return name switch
        {
            "SecurityException" or "JMSSecurityException" => new FabricSecurityException(message) { Reason = error.ClassName },
            "InvalidDestinationException" or "DestinationDoesNotExistException" =>
                new InvalidDestinationException(message) { Reason = error.ClassName },
            "InvalidSelectorException" => new InvalidSelectorException(message) { Reason = error.ClassName },
            "TransactionRolledBackException" => new TransactionRolledBackException(message) { Reason = error.ClassName },
            "ResourceAllocationException" => new ResourceAllocationException(message) { Reason = error.ClassName },
            _ => new FabricException(message) { Reason = error.ClassName },
        };
    }
}
