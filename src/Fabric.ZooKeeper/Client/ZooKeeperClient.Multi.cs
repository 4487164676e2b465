using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>Several operations as one.</summary>
public sealed partial class ZooKeeperClient
{
    /// <summary>Carries out all operations, or none.</summary>
    /// <returns>One result per operation, in order.</returns>
    /// <exception cref="ZooKeeperException">One failed: <c>OperationIndex</c> and <c>Path</c> say which, and nothing was done.</exception>
    public Task<IReadOnlyList<MultiResult>> MultiAsync(
        IReadOnlyList<MultiOperation> operations, CancellationToken cancellationToken = default)
    {
        string[] paths = [.. operations.Select(operation => operation.Path)];
        var request = new MultiRequest([.. operations.Select(operation => operation.ToWire(_servers))]);
        return SendAsync(OpCode.Multi, request, null, Read, cancellationToken);

        IReadOnlyList<MultiResult> Read(ZooKeeperError error, ref JuteReader reader)
        {
            if (reader.Remaining == 0)
            {
                ThrowUnlessOk(error, null);
            }

            var results = MultiResponse.Read(ref reader).Results;
            if (results.Count != paths.Length)
            {
                throw new JuteException($"{results.Count} results for {paths.Length} operations");
            }

            ThrowIfFailed(results, paths);
            ThrowUnlessOk(error, null);
            return [.. results.Select(ToResult)];
        }
    }

    /// <summary>Operations before the one that failed report Ok, those behind it RuntimeInconsistency.</summary>
    private static void ThrowIfFailed(IReadOnlyList<Jute.MultiResult> results, string[] paths)
    {
        ZooKeeperException? failure = null;
        for (var i = 0; i < results.Count; i++)
        {
            if (results[i].Body is Int32Record { Value: var code })
            {
                var error = (ZooKeeperError)code;
                if (error is not ZooKeeperError.Ok and not ZooKeeperError.RuntimeInconsistency)
                {
                    throw new ZooKeeperException(error, paths[i], i);
                }

                failure ??= error == ZooKeeperError.Ok ? null : new ZooKeeperException(error, paths[i], i);
            }
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    private MultiResult ToResult(Jute.MultiResult result) => result.Body switch
    {
        PathRecord created => new MultiResult(_servers.ToClient(created.Path), null),
        Create2Response created => new MultiResult(_servers.ToClient(created.Path), created.Stat),
        StatResponse changed => new MultiResult(null, changed.Stat),
        _ => new MultiResult(null, null),
    };
}
