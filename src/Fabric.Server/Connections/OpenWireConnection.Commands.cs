using System.Net;
using Fabric.Broker;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>Commands other than messages, as they come off the socket; runs on the reader.</summary>
internal sealed partial class OpenWireConnection
{
    private readonly StringCache _strings = new();
    private bool _isRemoved; // the client has ended the connection, and may begin another on the same socket

    /// <summary>Takes one frame, from its type byte on.</summary>
    private void Take(ReadOnlySpan<byte> frame)
    {
        var type = (DataType)frame[0];
        if (_wireFormat is not { } format)
        {
            // A WireFormatInfo looks the same in all versions; anything else in its place is not OpenWire.
            Negotiate(OpenWireCodec.Decode(frame, OpenWireCodec.VersionMax) as WireFormatInfo
                ?? throw new ProtocolException($"the first frame is a {type}, not a WireFormatInfo"));
            return;
        }

        if (MessageView.IsMessage(type))
        {
            TakeMessage(frame, format.Version);
            return;
        }

        var command = OpenWireCodec.Decode(frame, format.Version, format.StackTraceEnabled, _strings);
        if (command is null or WireFormatInfo)
        {
            return;
        }

        if (command is not Command known)
        {
            throw new ProtocolException($"a {type} is no command");
        }

        Execute(known);
    }

    private void Negotiate(WireFormatInfo info)
    {
        var offered = Offer();
        var format = offered.Negotiate(WireFormat.FromInfo(info));
        _outbound = new Outbound(format.Version, format.StackTraceEnabled);
        _outbound.Write(new BrokerInfo
        {
            BrokerId = new BrokerId(_services.Options.BrokerId),
            BrokerName = _services.Options.BrokerName,
            BrokerUrl = $"tcp://{_network.LocalEndPoint}",
            PeerBrokerInfos = null,
            MasterBroker = true,
        });
        _wireFormat = format;
    }

    private WireFormat Offer() => WireFormat.Default with
    {
        MaxInactivityDuration = (long)_services.Options.MaxInactivity.TotalMilliseconds,
        MaxFrameSize = _services.Options.FrameBytesMax,
        ProviderName = "Fabric",
        ProviderVersion = typeof(OpenWireConnection).Assembly.GetName().Version?.ToString(3),
        PlatformDetails = ".NET",
    };

    private void Execute(Command command)
    {
        switch (command)
        {
            case KeepAliveInfo { ResponseRequired: true }:
                _outbound!.Write(new KeepAliveInfo());
                return;
            case KeepAliveInfo or ProducerAck or MessageDispatch or Response or ConnectionError:
                return; // for clients, or with no meaning here (reference §4.22)
            case ShutdownInfo:
                Finish(command, BrokerResult.Accepted);
                _endReason = "it closed the connection";
                return;
            case ConnectionInfo info:
                Connect(info);
                return;
            case ConnectionControl or ControlCommand or FlushCommand or BrokerInfo:
                Finish(command, BrokerResult.Accepted);
                return;
            default:
                Finish(command, _connection is not { } connection ? throw new ProtocolException($"a {command.DataType} before the ConnectionInfo")
                    : _isRemoved ? AfterRemoval(command)
                    : Execute(connection, command));
                return;
        }
    }

    /// <summary>What nobody waits for is of no use any more, and no reason to alarm a client that is closing.</summary>
    private static BrokerResult AfterRemoval(Command command) => command is { ResponseRequired: true } and not RemoveInfo
        ? new BrokerResult(BrokerStatus.SessionUnknown, default, "the client has closed the connection")
        : BrokerResult.Accepted;

    private BrokerResult Execute(BrokerConnection connection, Command command) => command switch
    {
        SessionInfo info => connection.AddSession(Required(info.SessionId).Value),
        ProducerInfo info => AddProducer(connection, info),
        ConsumerInfo info => AddConsumer(connection, info),
        RemoveInfo info => Remove(connection, info),
        MessageAck ack => Acknowledge(connection, ack),
        MessagePull pull => Pull(connection, pull),
        ConsumerControl control => Control(connection, control),
        DestinationInfo info => ChangeDestination(connection, info),
        TransactionInfo info => ChangeTransaction(connection, info),
        RemoveSubscriptionInfo => Unsupported("durable subscriptions"),
        _ => Unsupported(command.DataType.ToString()),
    };

    private void Connect(ConnectionInfo info)
    {
        if (_connection is not null && !_isRemoved)
        {
            // A repeated ConnectionInfo is legal (failover replays it); a second identity on one socket is for bridges only.
            Finish(info, info.ConnectionId?.Value == _connection.ConnectionId
                ? BrokerResult.Accepted
                : Unsupported("several connections on one socket"));
            return;
        }

        if (string.IsNullOrEmpty(info.ClientId))
        {
            Refuse(info, new BrokerError("javax.jms.InvalidClientIDException", "the connection names no client id"));
            return;
        }

        var result = _services.Broker.Connect(
            new ConnectRequest
            {
                ClientId = info.ClientId,
                ConnectionId = Required(info.ConnectionId).Value ?? throw new ProtocolException("a connection id is null"),
                User = info.UserName,
                Password = info.Password,
                SuppressDuplicates = info.FailoverReconnect,
                RemoteAddress = $"tcp://{_network.RemoteEndPoint}",
                IsFromLoopback = IsLoopback(_network.RemoteEndPoint),
                Tag = this,
            },
            this,
            out var connection);
        if (result.Status == BrokerStatus.NotServing)
        {
            Hold(); // the mastership is over, and a client that was told so would give up instead of looking for the next one
            return;
        }

        if (connection is null)
        {
            _services.Logger.LogInformation("{Remote} may not connect: {Reason}", _network.RemoteEndPoint, result.Detail);
            Refuse(info, result.ToError());
            return;
        }

        _connection = connection;
        _isRemoved = false;
        _windowedProducers.Clear();
        Finish(info, result);
        if (info.Manageable)
        {
            _outbound!.Write(new ConnectionControl { ConnectedBrokers = "", ReconnectTo = "" });
        }
    }

    /// <summary>Whether <c>host:port</c> is an address that only this machine can connect from.</summary>
    internal static bool IsLoopback(string endPoint) => IPEndPoint.TryParse(endPoint, out var client) && IPAddress.IsLoopback(client.Address);

    /// <summary>Says why the client cannot connect; the socket is closed when it had the time to read it.</summary>
    private void Refuse(ConnectionInfo info, BrokerError error)
    {
        Fail(info, error);
        _refused = true;
    }

    private BrokerResult AddProducer(BrokerConnection connection, ProducerInfo info)
    {
        var id = Required(info.ProducerId);
        var result = connection.AddProducer(id.ToKey(), info.Destination?.ToBroker(), info);
        if (result.Succeeded && info.WindowSize > 0)
        {
            _windowedProducers.Add(id);
        }

        return result;
    }

    private static BrokerResult AddConsumer(BrokerConnection connection, ConsumerInfo info)
    {
        if (info.Destination is null)
        {
            return new BrokerResult(BrokerStatus.DestinationInvalid, default, "the consumer names no destination");
        }

        var id = Required(info.ConsumerId);
        return connection.AddConsumer(new ConsumerRequest
        {
            Key = id.ToKey(),
            Destination = info.Destination.ToBroker(),
            Prefetch = info.PrefetchSize,
            Priority = info.Priority,
            Exclusive = info.Exclusive,
            NoLocal = info.NoLocal,
            Browser = info.Browser,
            Selector = info.Selector,
            SubscriptionName = info.SubscriptionName,
            Tag = new WireConsumer(id, info),
        }, out _);
    }

    private BrokerResult Remove(BrokerConnection connection, RemoveInfo info)
    {
        var last = new LastDelivered(info.LastDeliveredSequenceId);
        switch (info.ObjectId)
        {
            case ConsumerId id:
                return connection.RemoveConsumer(id.ToKey(), last);
            case ProducerId id:
                _windowedProducers.Remove(id);
                return connection.RemoveProducer(id.ToKey());
            case SessionId id:
                return connection.RemoveSession(id.Value, last);
            case ConnectionId:
                _isRemoved = true;
                return connection.Disconnect(last);
            default:
                throw new ProtocolException($"a RemoveInfo names {info.ObjectId?.DataType.ToString() ?? "nothing"}");
        }
    }

    private static BrokerResult Acknowledge(BrokerConnection connection, MessageAck ack)
    {
        if (ack.TransactionId is XATransactionId)
        {
            return Unsupported("XA transactions");
        }

        if (ack.AckType == AckType.Unmatched)
        {
            return BrokerResult.Accepted; // internal to ActiveMQ's durable subscriptions
        }

        return connection.Acknowledge(new AcknowledgeRequest
        {
            Consumer = Required(ack.ConsumerId).ToKey(),
            Kind = (AcknowledgeKind)ack.AckType,
            First = ack.FirstMessageId?.ToSequence(),
            Last = ack.LastMessageId?.ToSequence() ?? default,
            Count = ack.MessageCount,
            Transaction = (ack.TransactionId as LocalTransactionId)?.Value,
            Cause = ack.PoisonCause?.ToString(),
        });
    }

    private static BrokerResult Pull(BrokerConnection connection, MessagePull pull)
    {
        var limit = pull.Timeout switch
        {
            0 => Timeout.InfiniteTimeSpan,
            < 0 => TimeSpan.Zero,
            var milliseconds => TimeSpan.FromMilliseconds(Math.Min(milliseconds, int.MaxValue)),
        };
        return connection.Pull(Required(pull.ConsumerId).ToKey(), limit);
    }

    private static BrokerResult Control(BrokerConnection connection, ConsumerControl control)
    {
        var key = Required(control.ConsumerId).ToKey();
        return control.Close
            ? connection.RemoveConsumer(key, LastDelivered.Unknown)
            : connection.SetPrefetch(key, control.Prefetch);
    }

    private static BrokerResult ChangeDestination(BrokerConnection connection, DestinationInfo info)
    {
        var destination = info.Destination?.ToBroker() ?? throw new ProtocolException("a DestinationInfo names no destination");
        return info.OperationType switch
        {
            0 => connection.AddDestination(destination),
            1 => connection.RemoveDestination(destination, force: info.Timeout != 0),
            _ => throw new ProtocolException($"a DestinationInfo asks for operation {info.OperationType}"),
        };
    }

    private static BrokerResult ChangeTransaction(BrokerConnection connection, TransactionInfo info)
    {
        if (info.TransactionId is not LocalTransactionId { Value: var id })
        {
            return Unsupported("XA transactions");
        }

        return info.Type switch
        {
            TransactionOperation.Begin => connection.Begin(id),
            TransactionOperation.CommitOnePhase => connection.Commit(id),
            TransactionOperation.Rollback => connection.Rollback(id),
            TransactionOperation.End => BrokerResult.Accepted,
            _ => Unsupported($"{info.Type} of a local transaction"),
        };
    }

    /// <summary>Answers a command with its outcome.</summary>
    private void Finish(Command command, in BrokerResult result)
    {
        if (result.Status == BrokerStatus.NotServing)
        {
            Hold();
        }
        else if (!result.Succeeded)
        {
            Fail(command, result.ToError());
        }
        else if (command.ResponseRequired)
        {
            _outbound!.Respond(command.CommandId, result.ConfirmAfter);
        }
    }

    private void Fail(Command command, BrokerError error) => Fail(command.CommandId, command.ResponseRequired, error);

    private void Fail(int commandId, bool responseRequired, BrokerError error) => _outbound!.Write(responseRequired
        ? new ExceptionResponse { CorrelationId = commandId, Exception = error }
        : new ConnectionError { Exception = error });

    private static BrokerResult Unsupported(string what) =>
        new(BrokerStatus.Unsupported, default, what);

    private static T Required<T>(T? id)
        where T : class => id ?? throw new ProtocolException($"a {typeof(T).Name} is missing");
}

/// <summary>An OpenWire consumer: what the writer needs to dispatch to it, and the advisories to describe it.</summary>
internal sealed class WireConsumer(ConsumerId id, ConsumerInfo info)
{
    private DispatchHeader? _header;

    public ConsumerId Id => id;

    public ConsumerInfo Info => info;

    /// <summary>The front of dispatches from a destination; the last one is kept, for most consumers have only one. Called by the writer.</summary>
    public DispatchHeader HeaderFor(DestinationName destination)
    {
        if (_header is null || _header.Destination.PhysicalName != destination.Name || _header.Destination.ToBroker().Type != destination.Type)
        {
            _header = new DispatchHeader(id, destination.ToWire());
        }

        return _header;
    }
}
