using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Client;

/// <summary>Sequential creates whose outcome is always found out (reference §2.7).</summary>
public sealed partial class ZooKeeperClient
{
    /// <summary>
    /// Creates a sequential znode that is made once even if the connection breaks under way: a mark in its name
    /// (<c>_c_GUID-</c> before the last component) tells it from the others when the outcome has to be looked up. Sort such znodes by
    /// the digits at their ends, not by their names.
    /// </summary>
    /// <remarks>
    /// When the caller gives up, or the outcome cannot be looked up, a task of the client goes on looking, and deletes what was made, until
    /// it knows or the session is over.
    /// </remarks>
    /// <returns>Path of the znode.</returns>
    /// <exception cref="ZooKeeperException">As for a create, but never ConnectionLoss.</exception>
    /// <exception cref="ArgumentException">The path is not valid, or the mode is not sequential or has a time to live.</exception>
    public async Task<string> CreateProtectedAsync(
        string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, CancellationToken cancellationToken = default)
    {
        CreateBody.Validate(path, mode, null);
        if (!mode.IsSequential())
        {
            throw new ArgumentException("only sequential znodes need the protection", nameof(mode));
        }

        var parent = ZnodePath.ParentOf(path);
        var mark = NewMark();
        var isUncertain = false;
        try
        {
            while (true)
            {
                try
                {
                    isUncertain = true;
                    return await CreateAsync(Combine(parent, mark + ZnodePath.NameOf(path)), data, acl, mode, cancellationToken);
                }
                catch (Exception exception) when (exception is ArgumentException or ZooKeeperException { Error: not ZooKeeperError.ConnectionLoss })
                {
                    isUncertain = false; // the server, or this client before sending, has said no
                    throw;
                }
                catch (ZooKeeperException)
                {
                    if (await FindMarkedAsync(parent, mark, cancellationToken) is { } made)
                    {
                        return made;
                    }
                }
            }
        }
        catch (Exception) when (isUncertain)
        {
            SweepLater(parent, mark);
            throw;
        }
    }

    private string NewMark()
    {
        Span<byte> bytes = stackalloc byte[16];
        _runtime.Random.NextBytes(bytes);
        return $"_c_{new Guid(bytes):D}-";
    }

    /// <summary>
    /// Looks for the znode with the mark. Null is certain: the request cannot be carried out later, for the session is attached to
    /// the connection that answers, and the look is behind the request if that is the connection it was sent on.
    /// </summary>
    private async Task<string?> FindMarkedAsync(string parent, string mark, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await SyncAsync(parent, cancellationToken);
                var children = await GetChildrenAsync(parent, cancellationToken);
                var made = children.Children.FirstOrDefault(child => child.StartsWith(mark, StringComparison.Ordinal));
                return made is null ? null : Combine(parent, made);
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode)
            {
                return null;
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.ConnectionLoss)
            {
                // Looking has no effect, so it is repeated; the request waits for the next connection.
            }
        }
    }

    private void SweepLater(string parent, string mark)
    {
        lock (_gate)
        {
            if (_final is null && _close is null)
            {
                _sweeps.RemoveAll(sweep => sweep.IsCompleted);
                _sweeps.Add(_runtime.Scheduler.Start("ZooKeeper abandoned create", () => SweepAsync(parent, mark)));
            }
        }
    }

    private async Task SweepAsync(string parent, string mark)
    {
        try
        {
            while (!await TrySweepAsync(parent, mark))
            {
                await Task.Delay(BackOffMin, _runtime.Time, _closing.Token);
            }
        }
        catch (Exception exception) when (exception is ZooKeeperException or OperationCanceledException)
        {
            _logger.LogInformation("What an abandoned create has made below {Parent} stays: {Reason}", parent, exception.Message);
        }
    }

    private async Task<bool> TrySweepAsync(string parent, string mark)
    {
        try
        {
            if (await FindMarkedAsync(parent, mark, _closing.Token) is { } made)
            {
                await DeleteAsync(made, -1, _closing.Token);
            }

            return true;
        }
        catch (ZooKeeperException exception) when (exception.Error
            is ZooKeeperError.ConnectionLoss or ZooKeeperError.NoNode or ZooKeeperError.ThrottledOperation)
        {
            return false; // whether it is gone shows at the next look
        }
    }

    private static string Combine(string parent, string name) => parent == ZnodePath.Root ? parent + name : $"{parent}/{name}";
}
