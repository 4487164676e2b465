using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Supervision;

/// <summary>What is wanted of one container of this machine.</summary>
internal enum WantedState
{
    Running,
    Stopped,

    /// <summary>It goes, with its directory.</summary>
    Removed,
}

/// <summary>A request about one container of this machine.</summary>
/// <param name="Name">The container.</param>
/// <param name="State">What is wanted.</param>
/// <param name="Version">Changes with every request, so that the same wish can be made again.</param>
internal sealed record WantedContainer(string Name, WantedState State, long Version);

/// <summary>
/// Keeps the containers of this machine as they are wanted. One that nothing is said about stays as it is: a registry that has lost its
/// memory must not take the containers with it. Disposing leaves them running; <see cref="StopAllAsync"/> ends them.
/// </summary>
/// <remarks>Thread-safe; <see cref="Apply"/> is called by one task at a time.</remarks>
internal sealed class Supervisor : IAsyncDisposable
{
    /// <summary>How long after a removal that failed it is tried again.</summary>
    public static readonly TimeSpan RemovalPause = TimeSpan.FromSeconds(5);

    private readonly Func<WantedContainer, Task> _removed;
    private readonly FabricRuntime _runtime;
    private readonly ContainerPrograms _programs;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, SupervisedContainer> _containers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Task> _removals = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _removedVersions = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IReadOnlyList<WantedContainer> _wanted = [];
    private bool _stopping;

    /// <param name="runtime">Clock and scheduler.</param>
    /// <param name="programs">How containers become processes.</param>
    /// <param name="removed">Told when a container and its directory are gone; may fail, then the removal is done again later.</param>
    /// <param name="logger">Told what happens.</param>
    public Supervisor(FabricRuntime runtime, ContainerPrograms programs, Func<WantedContainer, Task> removed, ILogger logger) =>
        (_runtime, _programs, _removed, _logger) = (runtime, programs, removed, logger);

    /// <summary>The containers, by name.</summary>
    public IReadOnlyList<SupervisedStatus> Status
    {
        get
        {
            lock (_gate)
            {
                return [.. _containers.Values.Select(container => container.Status).OrderBy(status => status.Name, StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>Takes in what is wanted now.</summary>
    public void Apply(IReadOnlyList<WantedContainer> wanted)
    {
        lock (_gate)
        {
            // In the order of names, so that the slots of containers made together follow their names. They start all at once.
            _wanted = [.. wanted.OrderBy(want => want.Name, StringComparer.Ordinal)];
            Serve();
        }
    }

    /// <summary>Stops all containers: the given ones last, when the others have ended, so that they need not hand over to anybody.</summary>
    public async Task StopAllAsync(IReadOnlyCollection<string> last)
    {
        SupervisedContainer[] containers;
        lock (_gate)
        {
            _stopping = true;
            containers = [.. _containers.Values];
        }

        await StopAsync(containers.Where(container => !last.Contains(container.Name)));
        await StopAsync(containers.Where(container => last.Contains(container.Name)));
    }

    public async ValueTask DisposeAsync()
    {
        SupervisedContainer[] containers;
        Task[] removals;
        lock (_gate)
        {
            _stopping = true;
            containers = [.. _containers.Values];
            removals = [.. _removals.Values];
            _containers.Clear();
        }

        _stopped.TrySetResult();
        await Task.WhenAll(removals);
        foreach (var container in containers)
        {
            await container.DisposeAsync();
        }
    }

    private void Serve()
    {
        // What is wanted of a container that is being removed is looked at again when that has ended.
        foreach (var want in _wanted.Where(want => !_stopping && !_removals.ContainsKey(want.Name)))
        {
            if (want.State != WantedState.Removed)
            {
                Keep(want);
            }
            else if (_removedVersions.GetValueOrDefault(want.Name) != want.Version)
            {
                Remove(want);
            }
        }
    }

    private void Keep(WantedContainer want)
    {
        if (!_containers.TryGetValue(want.Name, out var container))
        {
            TakeSlot(want.Name);
            container = new SupervisedContainer(_runtime, _programs, want.Name, _logger);
            _containers.Add(want.Name, container);
        }

        container.Want(want.State == WantedState.Running, want.Version);
    }

    private void TakeSlot(string name)
    {
        try
        {
            _programs.TakeSlot(name);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The start will say so, and take the slot when it can.
        }
    }

    private void Remove(WantedContainer want)
    {
        // Without a supervised container there may still be a process that an earlier root left running.
        _containers.Remove(want.Name, out var container);
        container ??= new SupervisedContainer(_runtime, _programs, want.Name, _logger);
        _removals[want.Name] = _runtime.Scheduler.Start($"removal of {want.Name}", () => RemoveAsync(container, want));
    }

    private static Task StopAsync(IEnumerable<SupervisedContainer> containers) => Task.WhenAll(containers.Select(container =>
    {
        container.Want(running: false, long.MaxValue);
        return container.SettledAsync();
    }));

    private async Task RemoveAsync(SupervisedContainer container, WantedContainer want)
    {
        await StopAsync([container]);
        await container.DisposeAsync();
        var isRemoved = await TryRemoveAsync(want);
        if (!isRemoved)
        {
            await Task.WhenAny(_stopped.Task, Task.Delay(RemovalPause, _runtime.Time));
        }

        lock (_gate)
        {
            _removals.Remove(want.Name);
            if (isRemoved)
            {
                _removedVersions[want.Name] = want.Version;
            }

            Serve();
        }
    }

    private async Task<bool> TryRemoveAsync(WantedContainer want)
    {
        try
        {
            _programs.Wipe(want.Name);
            await _removed(want);
            _logger.LogInformation("Removed container {Container} and its directory", want.Name);
            return true;
        }
        catch (Exception exception)
        {
            // Of the disk, or of the registry, which may be away or refuse.
            _logger.LogError("Container {Container} cannot be removed completely: {Reason}", want.Name, exception.Message);
            return false;
        }
    }
}
