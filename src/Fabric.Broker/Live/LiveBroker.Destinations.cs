using System.Buffers.Binary;
using System.Text;
using Fabric.Broker.Index;
using Fabric.Broker.Security;
using Fabric.Store.Journal;

namespace Fabric.Broker.Live;

/// <summary>Destinations: found, made on first use, bound to the index when their record commits, deleted.</summary>
internal sealed partial class LiveBroker
{
    private const int NameCharsMax = 4096;

    /// <summary>Of the names that one producer sends to. With three bytes for a character they fit into the name of a topic that tells of it, too.</summary>
    private const int ListCharsMax = 20_000;

    private readonly Dictionary<DestinationName, LiveDestination> _destinations = [];
    private readonly List<BrokerConsumer> _patternConsumers = [];
    private int _nextQueueId;

    public IReadOnlyList<DestinationStatistics> GetStatistics()
    {
        var all = new List<DestinationStatistics>(_destinations.Count);
        foreach (var destination in _destinations.Values)
        {
            all.Add(destination.Statistics);
        }

        return all;
    }

    public DestinationStatistics? GetStatistics(DestinationName name) => _destinations.GetValueOrDefault(name)?.Statistics;

    /// <summary>Creates a destination; does nothing when it exists. A temporary one belongs to the connection.</summary>
    public BrokerResult AddDestination(BrokerConnection connection, DestinationName name)
    {
        if (!IsAllowed(connection, DestinationAction.Administer, name, out var refused))
        {
            return refused;
        }

        if (name.IsTemporary)
        {
            return _destinations.TryGetValue(name, out var existing)
                ? existing.Owner == connection ? BrokerResult.Accepted : ForeignTemporary(name)
                : TryAddTemporary(connection, name, out var failure) ? BrokerResult.Accepted : failure;
        }

        return FindOrAdd(name, out _, out var invalid) ? BrokerResult.Accepted : invalid;
    }

    /// <summary>Deletes a destination with its messages.</summary>
    /// <param name="connection">Who asks.</param>
    /// <param name="name">What to delete.</param>
    /// <param name="force">Also when it has consumers; they stay, and get nothing more from it.</param>
    public BrokerResult RemoveDestination(BrokerConnection connection, DestinationName name, bool force)
    {
        if (!IsAllowed(connection, DestinationAction.Administer, name, out var refused))
        {
            return refused;
        }

        if (!_destinations.TryGetValue(name, out var destination))
        {
            return BrokerResult.Fail(BrokerStatus.DestinationUnknown, $"the destination {name} does not exist");
        }

        if (name.IsTemporary && destination.Owner != connection)
        {
            return ForeignTemporary(name);
        }

        if (destination.Consumers.Count > 0 && !force && !name.IsTemporary)
        {
            return BrokerResult.Fail(BrokerStatus.DestinationInUse, $"the destination {name} still has consumers");
        }

        return Remove(connection, destination);
    }

    private BrokerResult Remove(BrokerConnection connection, LiveDestination destination)
    {
        var end = Position.Zero;
        if (destination is LiveQueue { Id: > 0 } journalled)
        {
            Span<byte> body = stackalloc byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(body, journalled.Id);
            end = Journal.Append(RecordKind.DestinationRemoved, 0, body, default).End;
            AwaitConfirm(connection, end);
        }

        destination.Removed = true;
        destination.Owner?.Temporaries.Remove(destination);
        _destinations.Remove(destination.Name);
        foreach (var consumer in destination.Consumers.ToArray())
        {
            destination.Detach(consumer);
            consumer.Sources.Remove(destination);
            ForgetHeld(consumer, destination);
        }

        if (destination is LiveQueue queue)
        {
            while (queue.FirstMemory is { } message)
            {
                queue.RemoveMemory(message);
                Unhold(message);
            }
        }

        Events.Destination(destination, added: false);
        return new BrokerResult(BrokerStatus.Accepted, end);
    }

    /// <summary>Finds the destination or makes it; temporary ones are made by their owner only.</summary>
    private bool FindOrAdd(DestinationName name, out LiveDestination destination, out BrokerResult failure)
    {
        failure = default;
        if (_destinations.TryGetValue(name, out destination!))
        {
            return true;
        }

        if (name.IsTemporary)
        {
            failure = BrokerResult.Fail(BrokerStatus.DestinationUnknown, $"the destination {name} does not exist");
            return false;
        }

        if (!CheckNew(name, out failure))
        {
            return false;
        }

        destination = name.Type == DestinationType.Queue ? AddQueue(name) : new LiveTopic(name);
        Register(destination);
        return true;
    }

    private bool TryAddTemporary(BrokerConnection connection, DestinationName name, out BrokerResult failure)
    {
        if (!CheckNew(name, out failure))
        {
            return false;
        }

        LiveDestination destination = name.IsQueue
            ? new LiveQueue(this, name, 0) { Owner = connection }
            : new LiveTopic(name) { Owner = connection };
        connection.Temporaries.Add(destination);
        Register(destination);
        return true;
    }

    private static BrokerResult ForeignTemporary(DestinationName name) =>
        BrokerResult.Fail(BrokerStatus.NotAuthorized, $"{name} belongs to another connection");

    private bool CheckNew(DestinationName name, out BrokerResult failure)
    {
        if (IsTooLong(name, out failure))
        {
            return false;
        }

        if (string.IsNullOrWhiteSpace(name.Name) || name.IsComposite || name.IsPattern)
        {
            failure = BrokerResult.Fail(BrokerStatus.DestinationInvalid, $"{name} is no name for one destination");
        }
        else if (_destinations.Count >= Options.DestinationsMax)
        {
            failure = BrokerResult.Fail(
                BrokerStatus.LimitReached, $"there are {_destinations.Count} destinations, as many as the options allow");
        }

        return failure.Succeeded;
    }

    /// <summary>Of a destination or a pattern.</summary>
    private static bool IsTooLong(DestinationName name, out BrokerResult failure)
    {
        failure = name.Name.Length > NameCharsMax
            ? BrokerResult.Fail(BrokerStatus.DestinationInvalid, $"a name of {name.Name.Length} characters is too long: {NameCharsMax} at most")
            : default;
        return !failure.Succeeded;
    }

    private LiveQueue AddQueue(DestinationName name)
    {
        var queue = new LiveQueue(this, name, _nextQueueId++);
        Span<byte> id = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(id, queue.Id);
        Journal.Append(RecordKind.DestinationAdded, 0, id, Encoding.UTF8.GetBytes(name.Name));
        return queue;
    }

    private void Register(LiveDestination destination)
    {
        _destinations.Add(destination.Name, destination);
        Events.Destination(destination, added: true);
        foreach (var consumer in _patternConsumers)
        {
            AttachMatching(consumer, destination);
        }
    }

    private void AddKnownQueue(QueueIndex index)
    {
        var queue = new LiveQueue(this, DestinationName.Queue(index.Name), index.Id);
        queue.Bind(index);
        _destinations.Add(queue.Name, queue);
    }

    /// <summary>Called by the index when the record that adds a queue has committed.</summary>
    private void BindQueue(QueueIndex index)
    {
        // The queue may be deleted again already, and even have a successor of the same name.
        if (_destinations.TryGetValue(DestinationName.Queue(index.Name), out var destination)
            && destination is LiveQueue queue && queue.Id == index.Id)
        {
            queue.Bind(index);
            MarkApplied(queue); // consumers that came before their queue wait for its horizon
        }
    }

    private bool IsAllowed(
        BrokerConnection connection, DestinationAction action, DestinationName name, out BrokerResult refused)
    {
        refused = default;
        if (Options.Authorizer is { } authorizer && !authorizer.Allows(connection.User, action, name))
        {
            var verb = action switch
            {
                DestinationAction.Read => "read from",
                DestinationAction.Write => "write to",
                _ => "create or remove",
            };
            refused = BrokerResult.Fail(
                BrokerStatus.NotAuthorized, $"User {connection.User} is not authorized to {verb}: {name}");
        }

        return refused.Succeeded;
    }
}
