using Fabric.Protocols.OpenWire;
using Wire = Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client;

/// <summary>What a <see cref="Destination"/> is.</summary>
public enum DestinationKind
{
    /// <summary>Each message goes to one consumer.</summary>
    Queue,

    /// <summary>Each message goes to every subscriber.</summary>
    Topic,

    /// <summary>A queue that lives as long as the connection that made it.</summary>
    TempQueue,

    /// <summary>A topic that lives as long as the connection that made it.</summary>
    TempTopic,
}

/// <summary>
/// A named place for messages. Names are ActiveMQ's: <c>.</c> separates elements; a consumer's name may be a pattern with
/// <c>*</c> (one element) and a final <c>&gt;</c> (all that follow); a list separated by commas means each of its members.
/// Immutable.
/// </summary>
public sealed class Destination : IEquatable<Destination>
{
    private static readonly (string Prefix, DestinationKind Kind)[] Prefixes =
    [
        ("queue://", DestinationKind.Queue),
        ("topic://", DestinationKind.Topic),
        ("temp-queue://", DestinationKind.TempQueue),
        ("temp-topic://", DestinationKind.TempTopic),
    ];

    private Destination(Wire.Destination wire) => WireForm = wire;

    /// <summary>Queue, topic, or a temporary one.</summary>
    public DestinationKind Kind => WireForm.Kind switch
    {
        Wire.DestinationKind.Queue => DestinationKind.Queue,
        Wire.DestinationKind.Topic => DestinationKind.Topic,
        Wire.DestinationKind.TempQueue => DestinationKind.TempQueue,
        _ => DestinationKind.TempTopic,
    };

    /// <summary>The name without the kind.</summary>
    public string Name => WireForm.PhysicalName;

    /// <summary>True for both kinds of topic.</summary>
    public bool IsTopic => WireForm.IsTopic;

    /// <summary>True for the kinds that end with their connection.</summary>
    public bool IsTemporary => WireForm.IsTemporary;

    internal Wire.Destination WireForm { get; }

    /// <summary>A queue.</summary>
    /// <exception cref="ArgumentException">The name is blank.</exception>
    public static Destination Queue(string name) => Create(DestinationKind.Queue, name);

    /// <summary>A topic.</summary>
    /// <exception cref="ArgumentException">The name is blank.</exception>
    public static Destination Topic(string name) => Create(DestinationKind.Topic, name);

    /// <summary>Reads <c>queue://A</c>, <c>topic://A</c>, <c>temp-queue://A</c>, <c>temp-topic://A</c> or a bare name, which is a queue.</summary>
    /// <exception cref="ArgumentException">The name is blank, or carries options after a question mark.</exception>
    public static Destination Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (var (prefix, kind) in Prefixes)
        {
            if (text.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return Create(kind, text[prefix.Length..]);
            }
        }

        return Create(DestinationKind.Queue, text);
    }

    /// <summary>The same as <see cref="Parse"/>.</summary>
    public static implicit operator Destination(string text) => Parse(text);

    /// <inheritdoc/>
    public bool Equals(Destination? other) => other is not null && WireForm.Equals(other.WireForm);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Destination);

    /// <inheritdoc/>
    public override int GetHashCode() => WireForm.GetHashCode();

    /// <summary>The qualified name, as <c>queue://A</c>.</summary>
    public override string ToString() => WireForm.ToString();

    internal static Destination FromWire(Wire.Destination wire) => new(wire);

    private static Destination Create(DestinationKind kind, string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var trimmed = name.Trim();
        ModifiedUtf8.CheckShort(trimmed, nameof(name));
        if (trimmed.Contains('?', StringComparison.Ordinal))
        {
            throw new ArgumentException(
                $"the destination '{trimmed}' carries options; give them as ConsumerOptions or MessageOptions instead", nameof(name));
        }

        return new Destination(new Wire.Destination(
            kind switch
            {
                DestinationKind.Queue => Wire.DestinationKind.Queue,
                DestinationKind.Topic => Wire.DestinationKind.Topic,
                DestinationKind.TempQueue => Wire.DestinationKind.TempQueue,
                _ => Wire.DestinationKind.TempTopic,
            },
            trimmed));
    }
}
