namespace Fabric.Broker.Index;

/// <summary>The broker's records in the journal; the numbers are frozen. Their bodies are described in RECORDS.md.</summary>
internal static class RecordKind
{
    /// <summary>The store's record that begins a mastership: whatever group is unfinished before it stays without effect.</summary>
    public const byte Epoch = 1;

    public const byte DestinationAdded = 16;
    public const byte DestinationRemoved = 17;
    public const byte Message = 18;
    public const byte Acknowledged = 19;
    public const byte TransactionCommitted = 20;
    public const byte DeliveryHorizon = 21;
    public const byte Relocated = 22;

    /// <summary>Kinds from here on are the broker's; an unknown one was written by a later version and stops the replay.</summary>
    public const byte First = 16;

    /// <summary>
    /// Flag of <see cref="Message"/> and <see cref="Acknowledged"/>: takes effect at the next <see cref="TransactionCommitted"/>.
    /// </summary>
    public const byte InTransaction = 1;
}
