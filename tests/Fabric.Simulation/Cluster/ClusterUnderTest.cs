using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Server.Node;
using Fabric.Simulation.Ensemble;
using Fabric.Simulation.Faults;
using Fabric.Simulation.Kernel;
using Fabric.Simulation.Network;
using Fabric.Store.Journal;

namespace Fabric.Simulation.Cluster;

/// <summary>The registry, three brokers and their clients: what faults are done to, and what they are healed by.</summary>
internal sealed class ClusterUnderTest
{
    /// <summary>Where each broker has its journal.</summary>
    public const string JournalDirectory = "/data/default";

    private const int SegmentsTolerated = 4;
    private const int HeldPerLive = 2;

    private readonly List<SimulatedClient> _clients = [];
    private readonly List<(Moment Moment, Action Action)> _awaited = [];
    private readonly Dictionary<string, HashSet<Guid>> _lost = [];
    private readonly List<(TimeSpan Since, string? Name)> _masters = [];
    private readonly Action<int> _addBroker;
    private int _actor;

    public ClusterUnderTest(World world)
    {
        World = world;
        Registry = new SimulatedRegistry(world.Add("registry", "10.0.0.100"));
        if (world.RandomFor("ensemble").Next(3) == 0)
        {
            Follower = new LaggingFollower(world.Add("follower", "10.0.0.101"), Registry);
        }

        var connectString = Follower is { } follower ? $"{follower.ConnectString},{Registry.ConnectString}" : Registry.ConnectString;
        var random = world.RandomFor("settings");
        var wires = world.Wires;
        wires.Delay = TimeSpan.FromMicroseconds(random.Next(20, 500));
        wires.Jitter = TimeSpan.FromMicroseconds(random.Next(3) switch { 0 => 50, 1 => 500, _ => 20_000 });
        var journal = new JournalOptions
        {
            Directory = JournalDirectory,
            SegmentBytes = 64 * 1024 << random.Next(3),
            CheckpointBytes = 64 * 1024 << (random.Next(3) * 2),
            TailBytes = 1024 * 1024,
            FreeBytesLow = random.Next(2) * 128 * 1024, // without it, a full disk is met by the writes themselves
        };
        CleansSoon = world.RandomFor("retention").Next(3) == 0;
        if (CleansSoon)
        {
            journal = journal with { SegmentBytes = 64 * 1024, CheckpointBytes = 64 * 1024, RetainedBytesMax = 0 };
        }

        var batchBytesMax = random.Next(3) switch { 0 => 700, 1 => 7000, _ => 256 * 1024 };
        var unsyncedBytesMax = world.RandomFor("unsynced").Next(3) switch { 0 => 2_000, 1 => 20_000, _ => ReplicaOptions.DefaultUnsyncedBytesMax };
        _addBroker = number =>
        {
            var host = world.Add($"broker{number}", $"10.0.0.{number}");
            host.ClockRate = 1 + ((random.NextDouble() - 0.5) * (random.Next(4) == 0 ? 0.1 : 0.001));
            host.WallOffset = random.Next(3) == 0 ? TimeSpan.FromMinutes(random.Next(-90, 90)) : TimeSpan.Zero;
            var broker = new SimulatedBroker(host, connectString, journal, batchBytesMax, unsyncedBytesMax);
            host.Disk.Syncing = path => OnSync(path, broker);
            Brokers.Add(broker);
        };
        for (var number = 1; number <= 3; number++)
        {
            _addBroker(number);
            Wanted.Add($"broker{number}");
        }
    }

    public World World { get; }

    public SimulatedRegistry Registry { get; }

    /// <summary>Another server of the registry's ensemble, which brokers may be connected to; null where there is none.</summary>
    public LaggingFollower? Follower { get; }

    public List<SimulatedBroker> Brokers { get; } = [];

    /// <summary>What its clients connect to.</summary>
    public string Url => $"failover:({string.Join(',', Brokers.Select(broker => $"tcp://{broker.Host.Address}:61616"))})";

    public IReadOnlyList<SimulatedClient> Clients => _clients;

    public async Task StartAsync()
    {
        Registry.Start();
        await Registry.LayFoundationAsync();
        Follower?.Start();
        for (var number = 0; number < Wanted.Count; number++)
        {
            Brokers[number].Start();
        }
    }

    /// <summary>The containers that are to have a replica.</summary>
    public SortedSet<string> Wanted { get; } = new(StringComparer.Ordinal);

    /// <summary>How many changes of the replica set were asked for.</summary>
    public int Changes { get; set; }

    /// <summary>Told who is going to lose a disk.</summary>
    public Action<int>? DiskLost { get; set; }

    /// <summary>Adds a machine to which a replica can move; before the clients are told where to find brokers.</summary>
    public void AddSpare() => _addBroker(Brokers.Count + 1);

    /// <summary>The replicas whose disks a container has lost.</summary>
    public IReadOnlySet<Guid> LostOn(string container) => _lost.TryGetValue(container, out var lost) ? lost : new HashSet<Guid>();

    /// <summary>
    /// Whether the disk that a broker has lost is a member beside the one that took its place, and nothing may happen to that one: two of four would be lost, and no majority is left.
    /// </summary>
    public bool IsMemberTwice(string container)
    {
        var isTwice = NewestSet is { } set && set.Members.Count(member => member.Container == container) > 1;
        if (isTwice)
        {
            World.Trace.Line(World.Now, container, $"keeps its disk as it is: the one that it lost before is still a member");
        }

        return isTwice;
    }

    /// <summary>The machine dies, and comes back with another disk.</summary>
    public void LoseDisk(int number)
    {
        var host = Brokers[number].Host;
        if (IsMemberTwice(host.Name))
        {
            return;
        }

        DiskLost?.Invoke(number);
        if (host.Disk.FindDurable($"{JournalDirectory}/{Platters.StateFile}") is { } state)
        {
            if (!_lost.TryGetValue(host.Name, out var lost))
            {
                _lost[host.Name] = lost = [];
            }

            lost.Add(Platters.ReadIdentity(state));
        }

        host.LosePower();
        host.Disk.Wipe();
    }

    /// <summary>From now on a replica is to be on the spare machine, and not where it was.</summary>
    public void Move(int from)
    {
        var spare = Brokers.FindIndex(broker => !Wanted.Contains(broker.Host.Name));
        if (spare >= 0 && Wanted.Remove(Brokers[from].Host.Name))
        {
            Wanted.Add(Brokers[spare].Host.Name);
            EnsureRuns(spare);
        }
    }

    public void Add(SimulatedClient client) => _clients.Add(client);

    public Wire Between(int one, int other) => World.Wires.Between(Brokers[one].Host, Brokers[other].Host);

    public Host Client(int number) => _clients[number % _clients.Count].Host;

    /// <summary>Who leads, or has led, the highest epoch.</summary>
    public string? NewestMaster
    {
        get;
        set
        {
            var isNew = field != value;
            field = value;
            if (isNew)
            {
                _masters.Add((World.Now, value));
                Come(Moment.NewMaster, Brokers.Find(broker => broker.Host.Name == value));
            }
        }
    }

    /// <summary>The newest replica set that any journal names.</summary>
    public ReplicaSet? NewestSet { get; set; }

    /// <summary>The number of a broker.</summary>
    public int Find(Victim victim)
    {
        var master = Math.Max(0, Brokers.FindIndex(broker => broker.Host.Name == NewestMaster));
        return victim.Part switch
        {
            Part.Master => master,
            Part.Actor => _actor,
            Part.Slave => (master + 1 + (victim.Number % 2)) % Brokers.Count,
            _ => victim.Number,
        };
    }

    /// <summary>Does something when a moment comes.</summary>
    public void At(Moment moment, Action action)
    {
        if (moment == Moment.Any)
        {
            action();
        }
        else
        {
            _awaited.Add((moment, action));
        }
    }

    /// <summary>A moment has come.</summary>
    /// <param name="moment">Which.</param>
    /// <param name="actor">Whom it is about, if that is a broker.</param>
    public void Come(Moment moment, SimulatedBroker? actor = null)
    {
        if (actor is not null)
        {
            _actor = Brokers.IndexOf(actor);
        }

        foreach (var (_, action) in _awaited.Where(awaited => awaited.Moment == moment).ToList())
        {
            World.After(TimeSpan.Zero, World.Control, action);
        }

        _awaited.RemoveAll(awaited => awaited.Moment == moment);
    }

    /// <summary>
    /// Whether a client hears from a broker that is master no more, or from an earlier mastership of one that is master again: what was on its way when the connection was held up arrives late, and nobody
    /// can know.
    /// </summary>
    /// <param name="brokerUri">The broker it hears from.</param>
    /// <param name="since">When that connection was made, if it is known.</param>
    public bool IsOutOfDate(string? brokerUri, TimeSpan? since)
    {
        var name = Brokers.FirstOrDefault(broker => brokerUri?.Contains($"/{broker.Host.Address}:", StringComparison.Ordinal) == true)?.Host.Name;
        return name != NewestMaster || _masters.Exists(master => master.Name != name && master.Since > since);
    }

    /// <summary>Who is away for a little is too far behind when it is back, and has to copy the journal: nothing is kept for it, and much is sent and consumed meanwhile.</summary>
    public bool CleansSoon { get; }

    /// <summary>How often a replica was seen to begin a copy of its master's journal.</summary>
    public int Copies { get; set; }

    /// <summary>Messages that replicas were seen to read from a copy further on in the journal, because old segments were to go; on each replica.</summary>
    public long Relocations { get; set; }

    /// <summary>Whether one broker's disk will lose something that it says it has.</summary>
    public bool DiskRots { get; set; }

    /// <summary>Whether nothing is to go wrong any more.</summary>
    public bool IsHealed { get; private set; }

    /// <summary>How often a damaged journal was seen to be repaired.</summary>
    public int Repairs { get; set; }

    /// <summary>Whether the registry has lost something that it had acknowledged.</summary>
    public bool RegistryHasForgotten { get; set; }

    /// <summary>When the last disk call that hangs ends; healing does not reach it.</summary>
    public TimeSpan HangsUntil { get; set; }

    public void Kill(int number) => Brokers[number].Host.Kill();

    public void HangDisk(int number, TimeSpan time)
    {
        var until = World.Now + time;
        Brokers[number].Host.Disk.HangsUntil = until;
        HangsUntil = until > HangsUntil ? until : HangsUntil;
    }

    public void LosePower(int number) => Brokers[number].Host.LosePower();

    public void Stop(int number)
    {
        if (Brokers[number].Host.IsRunning)
        {
            Brokers[number].Stop();
        }
    }

    /// <summary>Has a broker run.</summary>
    public void EnsureRuns(int number) => Brokers[number].Want();

    public void StopRegistry(bool losesPower)
    {
        if (losesPower)
        {
            Registry.Host.LosePower();
        }
        else
        {
            Registry.Host.Kill();
        }
    }

    public void EnsureRegistryRuns()
    {
        if (!Registry.Host.IsRunning)
        {
            Registry.Start();
        }
    }

    public void KillClient(int number) => _clients[number % _clients.Count].Host.Kill();

    public void RestartClient(int number)
    {
        var client = _clients[number % _clients.Count];
        if (!client.Host.IsRunning)
        {
            client.Start();
        }
    }

    public void BreakConnections(Random random, double share)
    {
        foreach (var host in World.Hosts)
        {
            if (host.IsRunning)
            {
                host.Process!.Network.BreakSome(random, share);
            }
        }
    }

    /// <summary>
    /// Looks after the processes as people and supervisors do: a container whose broker is out of order for good is started again after a while.
    /// </summary>
    public async Task CareAsync()
    {
        while (true)
        {
            await World.DelayAsync(TimeSpan.FromSeconds(1));
            foreach (var broker in Brokers.Where(broker => broker.Host is { IsRunning: true, IsPaused: false } && broker.IsOutOfOrder))
            {
                World.Trace.Line(World.Now, broker.Host.Name, $"is started again: {broker.Problem}");
                broker.Host.Kill();
                broker.Start();
            }
        }
    }

    /// <summary>What keeps it from being well: one master that serves, with all others following in sync; null when it is well.</summary>
    public string? WhyNotWell()
    {
        var running = Brokers.Where(broker => broker.Running is not null).Select(broker => broker.Running!).ToList();
        if (Brokers.Where(broker => broker.Running is null && Wanted.Contains(broker.Host.Name)).ToList() is { Count: > 0 } missing)
        {
            return $"{missing.Count} brokers do not run: {string.Join("; ", missing.Select(broker => $"{broker.Host.Name}: {broker.Problem}"))}";
        }

        var masters = running.Where(one => one.Replica.Status.Role == ReplicaRole.Master && one.Host.Services.Count > 0).ToList();
        if (masters.Count != 1)
        {
            return $"{masters.Count} masters serve: {string.Join(", ", running.Select(one => one.Replica.Status))}";
        }

        var status = masters[0].Replica.Status;
        var members = status.Slaves.Where(slave => slave.IsMember).Select(slave => slave.Member.Container).Append(Brokers.First(broker => broker.Running == masters[0]).Host.Name);
        return Wanted.SequenceEqual(members.Order(StringComparer.Ordinal)) && status.Slaves.All(slave => slave.Attached && slave.Durable >= status.Committed)
            ? null
            : $"not all slaves are in sync: {string.Join(", ", status.Slaves)}, committed {status.Committed}";
    }

    /// <summary>What is kept although it is dead, and nobody else needs it either (O10); null when that is no more than may be.</summary>
    public string? WhyNotClean()
    {
        foreach (var running in Brokers.Select(broker => broker.Running).OfType<RunningReplica>().Where(running => running.Replica.Status.Role == ReplicaRole.Master))
        {
            var (oldest, live) = running.Broker.Extent;
            var (space, held) = (running.Replica.Journal.Space, running.Broker.Confirmed - oldest);
            if (space.Releasable - oldest >= space.SegmentBytes && held > Math.Max(SegmentsTolerated * space.SegmentBytes, HeldPerLive * live))
            {
                return $"{held} bytes are held from {oldest} on, for {live} that are live";
            }
        }

        return null;
    }

    private void OnSync(string path, SimulatedBroker broker)
    {
        if (path.EndsWith(".seg", StringComparison.Ordinal))
        {
            Come(Moment.Sync, broker);
        }
    }

    /// <summary>Ends what is wrong everywhere.</summary>
    public void Heal()
    {
        IsHealed = true;
        if (Follower is { } follower)
        {
            follower.IsHealed = true;
        }

        World.Wires.Heal();
        EnsureRegistryRuns();
        for (var number = 0; number < Brokers.Count; number++)
        {
            Brokers[number].Host.Disk.Heal();
            Brokers[number].Host.Resume();
            if (Wanted.Contains(Brokers[number].Host.Name))
            {
                EnsureRuns(number);
            }
        }

        for (var number = 0; number < _clients.Count; number++)
        {
            RestartClient(number);
        }
    }
}
