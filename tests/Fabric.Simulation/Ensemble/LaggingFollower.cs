using Fabric.Runtime;
using Fabric.Runtime.Network;
using Fabric.Simulation.Cluster;
using Fabric.Simulation.Kernel;
using Fabric.ZooKeeper.Server;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.Simulation.Ensemble;

/// <summary>
/// A server of the registry's ensemble that is behind its leader, mostly by some milliseconds and at times by seconds. It answers reads from what it has applied, and tells its watchers when it applies; writes,
/// sessions and <c>sync</c> go to the leader, and their answers come back when it has applied what they speak of: what a client sees never goes back, and may be old, as ZooKeeper promises and no more.
/// </summary>
internal sealed class LaggingFollower(Host host, SimulatedRegistry leader)
{
    private readonly Random _random = host.World.RandomFor("follower");
    private readonly List<FollowersClient> _clients = [];
    private readonly List<(long Zxid, TaskCompletionSource Applied)> _waiting = [];
    private readonly WatchTable _watches = new();
    private Process? _followed;
    private LeadersLog? _log;

    public Host Host { get; } = host;

    public string ConnectString { get; } = $"{host.Address}:{SimulatedRegistry.Port}";

    /// <summary>Whether it lags by milliseconds only from now on.</summary>
    public bool IsHealed { get; set; }

    /// <summary>What it has applied.</summary>
    public ServerState State => _log!.State;

    public WatchTable Watches => _watches;

    /// <summary>Whether it follows a leader at present; otherwise it serves nobody.</summary>
    public bool Follows => _followed is { IsDead: false };

    public void Start()
    {
        var process = Host.Start();
        process.Context.Post(async _ => await RunAsync(process.Runtime), null);
    }

    /// <summary>Connects to the leader.</summary>
    public ValueTask<INetworkConnection> ConnectAsync(FabricRuntime runtime, CancellationToken cancellationToken) =>
        runtime.Network.ConnectAsync(leader.Host.Address, SimulatedRegistry.Port, null, cancellationToken);

    /// <summary>Ends when a transaction is applied; is cancelled when the leader changes.</summary>
    public Task AppliedAsync(long zxid)
    {
        if (zxid <= State.LastZxid)
        {
            return Task.CompletedTask;
        }

        var applied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Add((zxid, applied));
        return applied.Task;
    }

    public void Forget(FollowersClient client)
    {
        _clients.Remove(client);
        _watches.RemoveAll(client);
    }

    private async Task RunAsync(FabricRuntime runtime)
    {
        var listener = runtime.Network.Listen(Host.Address, SimulatedRegistry.Port);
        _ = runtime.Scheduler.Start("follow the leader", () => FollowAsync(runtime));
        while (true)
        {
            var network = await listener.AcceptAsync(CancellationToken.None);
            if (!Follows)
            {
                network.Abort();
                continue;
            }

            var client = new FollowersClient(this, runtime, network);
            _clients.Add(client);
            _ = runtime.Scheduler.Start("client of the follower", client.RunAsync);
        }
    }

    private async Task FollowAsync(FabricRuntime runtime)
    {
        while (true)
        {
            if (!leader.Host.IsRunning)
            {
                Leave();
            }
            else if (leader.Host.Process != _followed)
            {
                Leave(); // what it had may never have been, for who begins to lead now
                (_followed, _log) = (leader.Host.Process, new LeadersLog(leader.Host.Disk, SimulatedRegistry.DataDirectory));
            }
            else
            {
                Apply();
            }

            await Task.Delay(TimeSpan.FromSeconds(IsHealed || _random.Next(20) > 0 ? 0.001 + (_random.NextDouble() * 0.02) : 0.03 * Math.Pow(100, _random.NextDouble())), runtime.Time);
        }
    }

    private void Apply()
    {
        foreach (var transaction in _log!.ReadOn())
        {
            State.Replay(transaction);
            foreach (var znodeEvent in transaction.Events)
            {
                _watches.Fire(znodeEvent);
            }
        }

        foreach (var (_, applied) in _waiting.Where(waiting => waiting.Zxid <= State.LastZxid))
        {
            applied.SetResult();
        }

        _waiting.RemoveAll(waiting => waiting.Applied.Task.IsCompleted);
    }

    private void Leave()
    {
        _followed = null;
        foreach (var (_, applied) in _waiting)
        {
            applied.SetCanceled();
        }

        _waiting.Clear();
        foreach (var client in _clients.ToList())
        {
            client.Abort();
        }
    }
}
