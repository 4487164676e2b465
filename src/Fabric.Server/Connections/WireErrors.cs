using Fabric.Broker;
using Fabric.Protocols.OpenWire;

namespace Fabric.Server.Connections;

/// <summary>
/// The broker's outcomes as JMS programs know them: class names that Java clients turn into the exceptions of their API
/// (reference §1.7, §4.1 to §4.17).
/// </summary>
internal static class WireErrors
{
    public static BrokerError ToError(this in BrokerResult result) => new(
        ClassOf(result.Status),
        result.Status == BrokerStatus.Unsupported ? $"{result.Detail}: not supported by this broker" : result.Detail ?? $"the broker refuses it: {result.Status}");

    public static BrokerError IllegalState(string message) => new("javax.jms.IllegalStateException", message);

    private static string ClassOf(BrokerStatus status) => status switch
    {
        BrokerStatus.NotAuthenticated or BrokerStatus.NotAuthorized => "java.lang.SecurityException",
        BrokerStatus.ClientIdInUse => "javax.jms.InvalidClientIDException",
        BrokerStatus.SessionUnknown => "javax.jms.IllegalStateException",
        BrokerStatus.DestinationUnknown => "org.apache.activemq.DestinationDoesNotExistException",
        BrokerStatus.DestinationInvalid => "javax.jms.InvalidDestinationException",
        BrokerStatus.TransactionRolledBack => "javax.jms.TransactionRolledBackException",
        BrokerStatus.TooLarge or BrokerStatus.LimitReached => "javax.jms.ResourceAllocationException",
        _ => "javax.jms.JMSException",
    };
}
