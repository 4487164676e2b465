using Fabric.ZooKeeper.Jute;

namespace Fabric.Registry;

/// <summary>A sequential znode that was read.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="Sequence">Its number; lower is older.</param>
/// <param name="Content">What it holds.</param>
internal sealed record SequentialZnode(string Path, long Sequence, ZnodeContent Content)
{
    public bool IsOwnedBy(RegistrySession session) => Content.Stat.EphemeralOwner == session.Id;
}

/// <summary>Directories of znodes named <c>0</c> and ten digits, as the ancestors' groups are.</summary>
internal static class SequentialZnodes
{
    /// <summary>What a directory holds now, by sequence.</summary>
    public static async Task<IReadOnlyList<SequentialZnode>> ListAsync(
        WatchedReader reader, string directory, CancellationToken cancellationToken)
    {
        var children = await reader.GetDirectoryAsync(directory, cancellationToken);
        return Sort(directory, children);
    }

    /// <summary>The same without a watch, from the server.</summary>
    public static async Task<IReadOnlyList<SequentialZnode>> ListAsync(
        FabricRegistry registry, string directory, CancellationToken cancellationToken)
    {
        var names = await registry.TryGetChildrenAsync(directory, cancellationToken) ?? [];
        var contents = await Task.WhenAll(names.Select(name => registry.TryGetAsync($"{directory}/{name}", cancellationToken)));
        return Sort(directory, names.Zip(contents).Where(child => child.Second is not null).Select(child => (child.First, child.Second!)));
    }

    /// <summary>Creates an ephemeral one, and the directory when it is missing.</summary>
    public static async Task<string> CreateAsync(
        FabricRegistry registry, string directory, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await registry.CreateAsync(
                    $"{directory}/{ZnodePaths.SequencePrefix}", data, CreateMode.EphemeralSequential, cancellationToken);
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode)
            {
                await registry.EnsureAsync(directory, cancellationToken);
            }
        }
    }

    private static List<SequentialZnode> Sort(string directory, IEnumerable<(string Name, ZnodeContent Content)> children)
    {
        var znodes = new List<SequentialZnode>();
        foreach (var (name, content) in children)
        {
            if (ZnodePaths.TryParseSequence(name, out var sequence))
            {
                znodes.Add(new SequentialZnode($"{directory}/{name}", sequence, content));
            }
        }

        znodes.Sort(static (left, right) => left.Sequence.CompareTo(right.Sequence));
        return znodes;
    }
}
