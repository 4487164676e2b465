using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Protocols.OpenWire;

public ref partial struct OpenWireReader
{
    /// <summary>An object that starts with its type byte.</summary>
    public IDataStructure ReadObject()
    {
        Enter();
        var type = ReadByte();
        var value = ReadFields((DataType)type);
        _depth--;
        return value;
    }

    /// <summary>The one list of all types.</summary>
    private IDataStructure ReadFields(DataType type) => type switch
    {
        DataType.WireFormatInfo => WireFormatInfo.Read(ref this),
        DataType.BrokerInfo => BrokerInfo.Read(ref this),
        DataType.ConnectionInfo => ConnectionInfo.Read(ref this),
        DataType.SessionInfo => SessionInfo.Read(ref this),
        DataType.ConsumerInfo => ConsumerInfo.Read(ref this),
        DataType.ProducerInfo => ProducerInfo.Read(ref this),
        DataType.TransactionInfo => TransactionInfo.Read(ref this),
        DataType.DestinationInfo => DestinationInfo.Read(ref this),
        DataType.RemoveSubscriptionInfo => RemoveSubscriptionInfo.Read(ref this),
        DataType.KeepAliveInfo => KeepAliveInfo.Read(ref this),
        DataType.ShutdownInfo => ShutdownInfo.Read(ref this),
        DataType.RemoveInfo => RemoveInfo.Read(ref this),
        DataType.ControlCommand => ControlCommand.Read(ref this),
        DataType.FlushCommand => FlushCommand.Read(ref this),
        DataType.ConnectionError => ConnectionError.Read(ref this),
        DataType.ConsumerControl => ConsumerControl.Read(ref this),
        DataType.ConnectionControl => ConnectionControl.Read(ref this),
        DataType.ProducerAck when Version >= 3 => ProducerAck.Read(ref this),
        DataType.MessagePull when Version >= 2 => MessagePull.Read(ref this),
        DataType.MessageDispatch => MessageDispatch.Read(ref this),
        DataType.MessageAck => MessageAck.Read(ref this),
        DataType.ActiveMQMessage => new ActiveMQMessage().ReadAll(ref this),
        DataType.ActiveMQBytesMessage => new ActiveMQBytesMessage().ReadAll(ref this),
        DataType.ActiveMQMapMessage => new ActiveMQMapMessage().ReadAll(ref this),
        DataType.ActiveMQObjectMessage => new ActiveMQObjectMessage().ReadAll(ref this),
        DataType.ActiveMQStreamMessage => new ActiveMQStreamMessage().ReadAll(ref this),
        DataType.ActiveMQTextMessage => new ActiveMQTextMessage().ReadAll(ref this),
        DataType.ActiveMQBlobMessage when Version >= 3 => new ActiveMQBlobMessage().ReadAll(ref this),
        DataType.Response => Response.Read(ref this),
        DataType.ExceptionResponse => ExceptionResponse.Read(ref this),
        DataType.DataResponse => DataResponse.Read(ref this),
        DataType.DataArrayResponse => DataArrayResponse.Read(ref this),
        DataType.IntegerResponse => IntegerResponse.Read(ref this),
        DataType.DiscoveryEvent => DiscoveryEvent.Read(ref this),
        DataType.JournalTopicAck => JournalTopicAck.Read(ref this),
        DataType.JournalQueueAck => JournalQueueAck.Read(ref this),
        DataType.JournalTrace => JournalTrace.Read(ref this),
        DataType.JournalTransaction => JournalTransaction.Read(ref this),
        DataType.SubscriptionInfo => SubscriptionInfo.Read(ref this),
        DataType.PartialCommand => PartialCommand.Read(ref this, last: false),
        DataType.LastPartialCommand => PartialCommand.Read(ref this, last: true),
        DataType.ReplayCommand => ReplayCommand.Read(ref this),
        DataType.MessageDispatchNotification => MessageDispatchNotification.Read(ref this),
        DataType.NetworkBridgeFilter => NetworkBridgeFilter.Read(ref this),
        DataType.BrokerSubscriptionInfo when Version >= 12 => BrokerSubscriptionInfo.Read(ref this),
        DataType.ActiveMQQueue or DataType.ActiveMQTopic or DataType.ActiveMQTempQueue or DataType.ActiveMQTempTopic =>
            Destination.Read(ref this, (DestinationKind)type),
        DataType.MessageId => MessageId.Read(ref this),
        DataType.LocalTransactionId => LocalTransactionId.Read(ref this),
        DataType.XATransactionId => XATransactionId.Read(ref this),
        DataType.ConnectionId => ConnectionId.Read(ref this),
        DataType.SessionId => SessionId.Read(ref this),
        DataType.ConsumerId => ConsumerId.Read(ref this),
        DataType.ProducerId => ProducerId.Read(ref this),
        DataType.BrokerId => BrokerId.Read(ref this),
        _ => throw new ProtocolException($"Unknown data type: {(int)type}"),
    };
}
