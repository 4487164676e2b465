using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Supervision;

/// <summary>What the registry wants of one container of this machine.</summary>
/// <param name="Name">The container.</param>
/// <param name="Running">Whether it is to run.</param>
/// <param name="Version">Changes with every request, so that the same wish can be made again.</param>
internal sealed record WantedContainer(string Name, bool Running, long Version);

/// <summary>
/// Keeps the containers of this machine as the registry wants them. A container that the registry no longer knows is stopped and its
/// directory removed. Disposing leaves the containers running; <see cref="StopAllAsync"/> ends them.
/// </summary>
/// <remarks>Thread-safe; <see cref="Apply"/> is called by one task at a time.</remarks>
internal sealed class Supervisor : IAsyncDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly ContainerPrograms _programs;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, SupervisedContainer> _containers = new(StringComparer.Ordinal);
    private readonly List<Task> _removals = [];
    private bool _stopping;

    public Supervisor(FabricRuntime runtime, ContainerPrograms programs, ILogger logger) =>
        (_runtime, _programs, _logger) = (runtime, programs, logger);

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

    /// <summary>Takes in what is wanted now: all containers of this machine, those absent being unwanted for good.</summary>
    public void Apply(IReadOnlyList<WantedContainer> wanted)
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            foreach (var want in wanted.OrderBy(want => want.Name, StringComparer.Ordinal))
            {
                if (!_containers.TryGetValue(want.Name, out var container))
                {
                    container = new SupervisedContainer(_runtime, _programs, want.Name, _logger);
                    _containers.Add(want.Name, container);
                }

                container.Want(want.Running, want.Version);
            }

            var names = wanted.Select(want => want.Name).ToHashSet(StringComparer.Ordinal);
            foreach (var gone in _containers.Keys.Where(name => !names.Contains(name)).ToArray())
            {
                _containers.Remove(gone, out var container);
                _removals.RemoveAll(removal => removal.IsCompleted);
                _removals.Add(_runtime.Scheduler.Start($"removal of {gone}", () => RemoveAsync(container!)));
            }
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
            removals = [.. _removals];
            _containers.Clear();
        }

        await Task.WhenAll(removals);
        foreach (var container in containers)
        {
            await container.DisposeAsync();
        }
    }

    private static Task StopAsync(IEnumerable<SupervisedContainer> containers) => Task.WhenAll(containers.Select(container =>
    {
        container.Want(running: false, long.MaxValue);
        return container.SettledAsync();
    }));

    private async Task RemoveAsync(SupervisedContainer container)
    {
        await StopAsync([container]);
        await container.DisposeAsync();
        try
        {
            _programs.Wipe(container.Name);
            _logger.LogInformation("Removed container {Container} and its directory", container.Name);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _logger.LogError("The directory of container {Container} cannot be removed: {Reason}", container.Name, exception.Message);
        }
    }
}
