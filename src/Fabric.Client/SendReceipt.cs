using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client;

/// <summary>The proof that a broker has confirmed a message.</summary>
public readonly struct SendReceipt : IEquatable<SendReceipt>
{
    private readonly ProducerId? _producerId;
    private readonly long _sequence;

    internal SendReceipt(ProducerId producerId, long sequence)
    {
        _producerId = producerId;
        _sequence = sequence;
    }

    /// <summary>The message's identity, as its receiver sees it in <see cref="MessageHeaders.MessageId"/>.</summary>
    public string MessageId => _producerId is null ? "" : $"{_producerId}:{_sequence}";

    /// <summary>Whether two receipts are for the same message.</summary>
    public static bool operator ==(SendReceipt left, SendReceipt right) => left.Equals(right);

    /// <summary>Whether two receipts are for different messages.</summary>
    public static bool operator !=(SendReceipt left, SendReceipt right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(SendReceipt other) => Equals(_producerId, other._producerId) && _sequence == other._sequence;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SendReceipt other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_producerId, _sequence);

    /// <inheritdoc/>
    public override string ToString() => MessageId;
}
