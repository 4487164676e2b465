using System.Globalization;
using Fabric.Client;
using Fabric.Oracles;
using Fabric.Simulation.Faults;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Cluster;

/// <summary>
/// One life of a cluster: it comes up, its clients work while things go wrong (safety), everything is healed and has to become well (liveness), what is
/// left is drained, and the oracles judge.
/// </summary>
internal sealed class Scenario
{
    private const string First = "first";
    private const string Second = "second";

    /// <summary>What is sent here is taken slowly or not at all, while others' messages come and go: it keeps old segments.</summary>
    private const string Shelf = "shelf";
    private const string DeadLetters = "ActiveMQ.DLQ";

    /// <summary>How long a healed cluster may take to be well: sessions expire, restarts back off.</summary>
    private static readonly TimeSpan HealingLimit = TimeSpan.FromSeconds(90);

    /// <summary>How long old messages may keep dead segments when there is nothing else to do.</summary>
    private static readonly TimeSpan CleaningLimit = TimeSpan.FromSeconds(20);

    private readonly World _world;
    private readonly History _history = new();
    private readonly ClusterUnderTest _cluster;
    private readonly IReadOnlyList<Fault> _faults;
    private readonly TimeSpan _safety;

    /// <param name="world">Where it takes place.</param>
    /// <param name="without">Numbers of faults that are left out.</param>
    public Scenario(World world, IReadOnlySet<int> without)
    {
        _world = world;
        _cluster = new ClusterUnderTest(world);
        var random = world.RandomFor("workload");
        _safety = TimeSpan.FromSeconds(5 + random.Next(20));
        _faults = FaultPlan.Draw(world, _safety, without);
        _cluster.DiskRots = _faults.Any(fault => fault.Rots);
        if (_faults.Any(fault => fault.Moves))
        {
            _cluster.AddSpare();
        }

        AddClients(random);
    }

    /// <summary>What goes wrong.</summary>
    public IReadOnlyList<Fault> Faults => _faults;

    /// <summary>What it was about, in a line.</summary>
    public string Summary => string.Create(
        CultureInfo.InvariantCulture,
        $"{_faults.Count} faults, {_history.Count} events, {_cluster.Copies} full copies, {_cluster.Repairs} repairs, {_cluster.Relocations} relocations, {_cluster.Changes} changes of the set");

    public async Task RunAsync()
    {
        var invariants = new Invariants(_world, _cluster);
        _world.Inspect = invariants.Check;
        _cluster.DiskLost = invariants.OnDiskLost;
        await _cluster.StartAsync();
        foreach (var client in _cluster.Clients)
        {
            client.Start();
        }

        var caring = Task.WhenAny(_cluster.CareAsync(), _faults.Any(fault => fault.ChangesSet) ? new Operator(_cluster).WorkAsync() : new TaskCompletionSource().Task).Unwrap();
        foreach (var fault in _faults)
        {
            Schedule(fault);
        }

        await _world.DelayAsync(_safety);
        _world.Trace.Line(_world.Now, "control", $"heals everything");
        _cluster.Heal();
        if (_cluster.HangsUntil > _world.Now)
        {
            await _world.DelayAsync(_cluster.HangsUntil - _world.Now);
        }

        await BecomeWellAsync();
        await WithinAsync(Task.WhenAll(_cluster.Clients.Select(client => client.EndAsync())), "the clients come to their ends");
        await BecomeCleanAsync();
        await DrainAsync();
        await BecomeWellAsync();
        invariants.CheckAll();
        Judge();
        if (caring.IsFaulted)
        {
            await caring;
        }
    }

    private void AddClients(Random random)
    {
        var address = 0;
        Host NewHost(string name) => _world.Add(name, $"10.0.2.{++address}");
        var large = random.Next(3) switch { 0 => 0.5, _ => 0.05 };
        var bodies = new Bodies(_cluster.CleansSoon ? 1 : large);
        var producers = 1 + random.Next(3);
        for (var i = 1; i <= producers; i++)
        {
            var pace = new Pace
            {
                Count = 20 + random.Next(200 / producers),
                InFlight = 1 << random.Next(7),
                Burst = 1 << random.Next(5),
                Time = _safety * (0.5 + random.NextDouble()),
            };
            _cluster.Add(new Producer(NewHost($"producer{i}"), _cluster, _history, bodies, First, pace));
        }

        var consumers = random.Next(3);
        for (var i = 1; i <= consumers; i++)
        {
            var queue = random.Next(3) == 0 ? Second : First;
            _cluster.Add(new Consumer(NewHost($"consumer{i}"), _cluster, _history, queue, TimeSpan.FromMilliseconds(random.Next(200))));
        }

        foreach (var queue in _cluster.CleansSoon ? new[] { First, Second } : [])
        {
            _cluster.Add(new Consumer(NewHost($"consumer of {queue}"), _cluster, _history, queue, TimeSpan.Zero));
        }

        if (_cluster.CleansSoon)
        {
            AddShelf(NewHost, bodies, _world.RandomFor("shelf"));
        }

        if (random.Next(2) == 0)
        {
            _cluster.Add(new Mover(NewHost("mover"), _cluster, _history, bodies, First, Second, TimeSpan.FromMilliseconds(random.Next(200))));
        }
    }

    private void AddShelf(Func<string, Host> newHost, Bodies bodies, Random random)
    {
        var pace = new Pace { Count = 3 + random.Next(20), InFlight = 4, Burst = 1 + random.Next(4), Time = _safety * random.NextDouble() };
        _cluster.Add(new Producer(newHost("filler"), _cluster, _history, bodies, Shelf, pace));
        if (random.Next(2) == 0)
        {
            _cluster.Add(new Consumer(newHost("reader"), _cluster, _history, Shelf, TimeSpan.FromSeconds(random.Next(8))));
        }
    }

    private void Schedule(Fault fault) => _world.After(fault.At, _world.Control, () =>
    {
        _cluster.At(fault.Moment, () =>
        {
            if (fault.Steps > 0)
            {
                _world.AfterSteps(fault.Steps, () => Begin(fault));
            }
            else
            {
                _world.After(fault.Later, _world.Control, () => Begin(fault));
            }
        });
    });

    private void Begin(Fault fault)
    {
        if (_cluster.IsHealed)
        {
            return; // its moment did not come
        }

        _world.Trace.Line(_world.Now, "control", $"{fault.What}, for {fault.Lasts.TotalSeconds:F3} s; the master is {_cluster.NewestMaster}");
        fault.Begin(_cluster);
        _world.After(fault.Lasts, _world.Control, () =>
        {
            _world.Trace.Line(_world.Now, "control", $"over: {fault.What}");
            fault.End(_cluster);
        });
    }

    private async Task BecomeWellAsync()
    {
        var limit = _world.Now + HealingLimit;
        while (_cluster.WhyNotWell() is { } reason)
        {
            if (_world.Now > limit)
            {
                throw new OracleException($"O8: {HealingLimit.TotalSeconds} s after everything was healed: {reason}");
            }

            await _world.DelayAsync(TimeSpan.FromMilliseconds(100));
        }
    }

    private async Task BecomeCleanAsync()
    {
        var limit = _world.Now + CleaningLimit;
        while (_cluster.WhyNotClean() is { } reason)
        {
            if (_world.Now > limit)
            {
                throw new OracleException($"O10: {CleaningLimit.TotalSeconds} s after the clients came to their ends: {reason}");
            }

            await _world.DelayAsync(TimeSpan.FromMilliseconds(100));
        }
    }

    private async Task WithinAsync(Task task, string what)
    {
        if (await Task.WhenAny(task, _world.DelayAsync(HealingLimit)) != task)
        {
            throw new OracleException($"O8: not within {HealingLimit.TotalSeconds} s after everything was healed: {what}");
        }

        await task;
    }

    private async Task DrainAsync()
    {
        var process = _world.Add("drain", "10.0.3.1").Start();
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Context.Post(async _ =>
        {
            await DrainAsync(process);
            drained.SetResult();
        }, null);
        await WithinAsync(drained.Task, "what is left can be received");
    }

    private async Task DrainAsync(Process process)
    {
        var options = new FabricClientOptions
        {
            Runtime = process.Runtime, UserName = "user", Password = "password", LoggerFactory = new TraceLoggers(process),
        };
        await using var fabric = new FabricClient(_cluster.Url, options);
        var interruptions = 0;
        fabric.Interrupted += (_, _) =>
        {
            interruptions++;
            return ValueTask.CompletedTask;
        };
        int before;
        do
        {
            before = interruptions; // a master that leaves meanwhile has not said that there is nothing more
            await fabric.ConnectAsync();
            await DrainAsync(fabric);
        }
        while (interruptions > before);
    }

    private async Task DrainAsync(FabricClient fabric)
    {
        foreach (var queue in new[] { First, Second, Shelf, DeadLetters })
        {
            await using var consumer = fabric.CreateConsumer<string>($"queue://{queue}");
            while (await consumer.TryReceiveAsync(TimeSpan.FromSeconds(2)) is { } delivery)
            {
                var message = Bodies.IdentityOf(delivery.Body);
                _history.Delivered(
                    $"drain {queue}", message, queue, BodyHash.Of(delivery.Body), _world.Now, delivery.DeliveryCount > 1, delivery.DeliveryCount - 1);
                _world.Trace.Line(_world.Now, "drain", $"received {message} from {queue}, for the {delivery.DeliveryCount}. time");
                _history.AcknowledgeAttempted($"drain {queue}", message, _world.Now);
                await delivery.AcceptAsync();
            }
        }
    }

    private void Judge()
    {
        var violations = HistoryChecker.Check(
            _history, new HistoryCheckerOptions { OtherQueues = new HashSet<string>(StringComparer.Ordinal) { DeadLetters } });
        if (violations.Count > 0)
        {
            throw new OracleException(string.Join('\n', violations.Take(5)));
        }
    }
}

/// <summary>A promise was not kept.</summary>
internal sealed class OracleException(string message) : Exception(message);
