namespace Fabric.Registry;

/// <summary>Reads znodes: the registry as it is, or remembered until it changes.</summary>
internal interface IZnodeReader
{
    /// <summary>A znode's text; null when there is none.</summary>
    Task<string?> GetTextAsync(string path, CancellationToken cancellationToken);

    /// <summary>Names of children in ordinal order; none when there is no such znode.</summary>
    Task<IReadOnlyList<string>> GetChildrenAsync(string path, CancellationToken cancellationToken);
}

/// <summary>Asks the registry each time.</summary>
internal sealed class DirectReader(FabricRegistry registry) : IZnodeReader
{
    public Task<string?> GetTextAsync(string path, CancellationToken cancellationToken) => registry.TryGetTextAsync(path, cancellationToken);

    public async Task<IReadOnlyList<string>> GetChildrenAsync(string path, CancellationToken cancellationToken) =>
        await registry.TryGetChildrenAsync(path, cancellationToken) ?? [];
}
