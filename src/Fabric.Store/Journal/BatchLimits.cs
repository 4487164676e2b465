namespace Fabric.Store.Journal;

/// <summary>How long a batch may be.</summary>
internal static class BatchLimits
{
    /// <summary>
    /// Most record bytes of one batch, unless it is one single larger record. Recovery relies on it to tell a torn batch from damage,
    /// so it belongs to the format.
    /// </summary>
    public const int BytesMax = 1024 * 1024;
}
