using Fabric.Simulation.Cluster;
using Fabric.Simulation.Kernel;
using Fabric.Simulation.Network;

namespace Fabric.Simulation.Faults;

/// <summary>
/// What goes wrong in one world. The seed first chooses the kinds that this world suffers from, then the single faults; each has a randomness of its
/// own, so that one can be left out and the others stay as they are.
/// </summary>
internal static class FaultPlan
{
    private const int FaultsMax = 9;

    /// <param name="world">Whose seed decides.</param>
    /// <param name="end">When the last fault has begun.</param>
    /// <param name="without">Numbers of faults to leave out.</param>
    public static IReadOnlyList<Fault> Draw(World world, TimeSpan end, IReadOnlySet<int> without)
    {
        var random = world.RandomFor("faults");
        var kinds = Kinds.Where(_ => random.Next(2) == 0).DefaultIfEmpty(Kinds[random.Next(Kinds.Length)]).ToArray();
        var count = random.Next(FaultsMax + 1);
        var faults = new List<Fault>();
        for (var i = 0; i < count; i++)
        {
            var own = world.RandomFor($"fault {i}");
            var kind = kinds[own.Next(kinds.Length)];
            var fault = kind(own, end * own.NextDouble());
            var moment = own.Next(8) switch { < 4 => Moment.Any, < 7 => Moment.Confirm, _ => Moment.NewMaster };
            if (!without.Contains(i))
            {
                faults.Add(fault with { What = $"#{i} {fault.What}", Moment = moment });
            }
        }

        return [.. faults.OrderBy(fault => fault.At)];
    }

    private static readonly Func<Random, TimeSpan, Fault>[] Kinds =
    [
        KillBroker, KillBroker, LosePower, LosePowerOfAll, LosePowerOfAll, StopBroker, PauseBroker, CutBrokers, CutOneWay, IsolateBroker, CutRegistry, CutRegistryFromAll,
        KillRegistry, RestoreRegistry, WipeRegistry, CutClient, KillClient, BreakConnections, SlowDisk, HangDisk, FillDisk, FailSync, RotBits, MoveClock, SlowWire, LosePackets,
    ];

    private static Fault KillBroker(Random random, TimeSpan at)
    {
        var number = random.Next(3);
        return new Fault(at, Some(random, 0.1, 8), $"broker{number + 1} is killed", all => all.Kill(number), all => all.EnsureRuns(number));
    }

    private static Fault LosePower(Random random, TimeSpan at)
    {
        var number = random.Next(3);
        return new Fault(
            at, Some(random, 0.5, 8), $"broker{number + 1} loses power", all => all.LosePower(number), all => all.EnsureRuns(number));
    }

    /// <summary>One of them may come back later than the others, who then have to do without what it knows.</summary>
    private static Fault LosePowerOfAll(Random random, TimeSpan at)
    {
        var (last, later) = (random.Next(3), random.Next(3) > 0 ? Some(random, 1, 12) : TimeSpan.Zero);
        return new Fault(
            at,
            Some(random, 0.5, 4),
            $"all brokers lose power, broker{last + 1} for {later.TotalSeconds:F3} s longer",
            all => Each(number => all.LosePower(number)),
            all => Each(number => all.World.After(number == last ? later : TimeSpan.Zero, all.World.Control, () => all.EnsureRuns(number))));
    }

    private static Fault StopBroker(Random random, TimeSpan at)
    {
        var number = random.Next(3);
        return new Fault(at, Some(random, 1, 8), $"broker{number + 1} is stopped", all => all.Stop(number), all => all.EnsureRuns(number));
    }

    private static Fault PauseBroker(Random random, TimeSpan at)
    {
        var number = random.Next(3);
        return new Fault(
            at,
            Some(random, 0.01, 20),
            $"broker{number + 1} is paused",
            all => all.Brokers[number].Host.Pause(),
            all => all.Brokers[number].Host.Resume());
    }

    private static Fault CutBrokers(Random random, TimeSpan at)
    {
        var (one, other) = TwoOf(random);
        return Cut(at, Some(random, 0.05, 15), $"broker{one + 1} and broker{other + 1} cannot reach each other", all =>
        [
            all.Between(one, other), all.Between(other, one),
        ]);
    }

    private static Fault CutOneWay(Random random, TimeSpan at)
    {
        var (one, other) = TwoOf(random);
        return Cut(at, Some(random, 0.05, 15), $"nothing from broker{one + 1} reaches broker{other + 1}", all => [all.Between(one, other)]);
    }

    private static Fault IsolateBroker(Random random, TimeSpan at)
    {
        var number = random.Next(3);
        var everybody = random.Next(2) == 0;
        return Cut(at, Some(random, 0.05, 20), $"broker{number + 1} is cut off from the brokers{(everybody ? " and everybody else" : "")}", all =>
        [
            .. all.World.Hosts
                .Where(host => host != all.Brokers[number].Host && (everybody || all.Brokers.Any(broker => broker.Host == host)))
                .SelectMany(host => new[]
                {
                    all.World.Wires.Between(all.Brokers[number].Host, host), all.World.Wires.Between(host, all.Brokers[number].Host),
                }),
        ]);
    }

    private static Fault CutRegistry(Random random, TimeSpan at)
    {
        var number = random.Next(3);
        var both = random.Next(3) > 0;
        return Cut(at, Some(random, 0.05, 25), $"broker{number + 1} is cut off from the registry{(both ? "" : ", one way")}", all =>
            both
                ?
                [
                    all.World.Wires.Between(all.Brokers[number].Host, all.Registry.Host), all.World.Wires.Between(all.Registry.Host, all.Brokers[number].Host),
                ]
                : [all.World.Wires.Between(all.Registry.Host, all.Brokers[number].Host)]);
    }

    private static Fault CutRegistryFromAll(Random random, TimeSpan at) => Cut(at, Some(random, 0.05, 25), "the registry is cut off", all =>
    [
        .. all.World.Hosts.Where(host => host != all.Registry.Host).SelectMany(host => new[]
        {
            all.World.Wires.Between(all.Registry.Host, host), all.World.Wires.Between(host, all.Registry.Host),
        }),
    ]);

    private static Fault KillRegistry(Random random, TimeSpan at)
    {
        var power = random.Next(2) == 0;
        return new Fault(
            at,
            Some(random, 0.1, 15),
            power ? "the registry loses power" : "the registry is killed",
            all => all.StopRegistry(power),
            all => all.EnsureRegistryRuns());
    }

    /// <summary>A copy of the registry's disk is made, and some time later the registry is set back to it.</summary>
    private static Fault RestoreRegistry(Random random, TimeSpan at)
    {
        IReadOnlyDictionary<string, Disk.FileContent>? copy = null;
        return new Fault(
            at,
            Some(random, 1, 15),
            "the registry is set back to what it was at this moment, at the end",
            all => copy = all.Registry.Host.Disk.Copy(),
            all =>
            {
                if (copy is not null)
                {
                    all.StopRegistry(losesPower: false);
                    all.Registry.Host.Disk.PutBack(copy);
                    copy = null;
                }

                all.EnsureRegistryRuns();
            });
    }

    private static Fault WipeRegistry(Random random, TimeSpan at) => new(
        at,
        Some(random, 0.1, 5),
        "the registry loses everything, and begins anew",
        all =>
        {
            all.StopRegistry(losesPower: false);
            all.Registry.Host.Disk.Wipe();
        },
        all => all.EnsureRegistryRuns());

    private static Fault CutClient(Random random, TimeSpan at)
    {
        var (client, broker) = (random.Next(8), random.Next(3));
        return Cut(at, Some(random, 0.05, 10), $"a client and broker{broker + 1} cannot reach each other", all =>
        [
            all.World.Wires.Between(all.Client(client), all.Brokers[broker].Host), all.World.Wires.Between(all.Brokers[broker].Host, all.Client(client)),
        ]);
    }

    private static Fault KillClient(Random random, TimeSpan at)
    {
        var client = random.Next(8);
        return new Fault(at, Some(random, 0.01, 3), "a client is killed", all => all.KillClient(client), all => all.RestartClient(client));
    }

    private static Fault BreakConnections(Random random, TimeSpan at)
    {
        var share = random.NextDouble();
        return new Fault(at, TimeSpan.Zero, "connections break", all => all.BreakConnections(random, share), _ => { });
    }

    private static Fault SlowDisk(Random random, TimeSpan at)
    {
        var (number, time) = (random.Next(3), Some(random, 0.005, 0.3));
        return new Fault(
            at,
            Some(random, 1, 10),
            $"the disk of broker{number + 1} takes {time.TotalMilliseconds:F0} ms to sync",
            all => all.Brokers[number].Host.Disk.SyncTime = time,
            all => all.Brokers[number].Host.Disk.SyncTime = TimeSpan.FromMicroseconds(300));
    }

    private static Fault HangDisk(Random random, TimeSpan at)
    {
        var (number, time) = (random.Next(3), Some(random, 0.1, 20));
        return new Fault(
            at,
            time,
            $"the disk of broker{number + 1} hangs",
            all => all.HangDisk(number, time),
            _ => { });
    }

    private static Fault FillDisk(Random random, TimeSpan at)
    {
        var (number, left) = (random.Next(3), random.Next(256 * 1024));
        return new Fault(
            at,
            Some(random, 0.5, 15),
            $"the disk of broker{number + 1} has {left / 1024} KiB left",
            all => all.Brokers[number].Host.Disk.Capacity = all.Brokers[number].Host.Disk.Used + left,
            all => all.Brokers[number].Host.Disk.Capacity = long.MaxValue);
    }

    private static Fault FailSync(Random random, TimeSpan at)
    {
        var (number, after) = (random.Next(3), random.Next(5));
        return new Fault(
            at,
            TimeSpan.Zero,
            $"a sync of broker{number + 1} will fail",
            all => all.Brokers[number].Host.Disk.FailsSyncAfter = after,
            all => all.Brokers[number].Host.Disk.FailsSyncAfter = -1);
    }

    /// <summary>Always of the same broker in one world: what is promised is that a minority may be damaged.</summary>
    private static Fault RotBits(Random random, TimeSpan at) => new(
        at, TimeSpan.Zero, "a bit rots on a disk", all => all.Brokers[(int)(all.World.Seed % 3)].Host.Disk.Rot(".seg"), _ => { });

    private static Fault MoveClock(Random random, TimeSpan at)
    {
        var (which, by) = (random.Next(5), TimeSpan.FromHours((random.NextDouble() * 4) - 2));
        return new Fault(
            at,
            TimeSpan.Zero,
            $"a wall clock jumps by {by.TotalMinutes:F0} minutes",
            all => all.World.Hosts[which % all.World.Hosts.Count].WallOffset += by,
            _ => { });
    }

    private static Fault SlowWire(Random random, TimeSpan at)
    {
        var (one, other) = TwoOf(random);
        var time = Some(random, 0.005, 0.5);
        return new Fault(
            at,
            Some(random, 0.5, 10),
            $"broker{one + 1} to broker{other + 1} takes {time.TotalMilliseconds:F0} ms more",
            all => all.Between(one, other).Slowness = time,
            all => all.Between(one, other).Slowness = TimeSpan.Zero);
    }

    private static Fault LosePackets(Random random, TimeSpan at)
    {
        var share = random.NextDouble() * 0.05;
        return new Fault(
            at, Some(random, 0.5, 5), $"{share:P1} of all packets get lost", all => all.World.Wires.Loss = share, all => all.World.Wires.Loss = 0);
    }

    private static Fault Cut(TimeSpan at, TimeSpan lasts, string what, Func<ClusterUnderTest, Wire[]> wires)
    {
        Wire[] cut = [];
        return new Fault(
            at,
            lasts,
            what,
            all =>
            {
                cut = wires(all);
                foreach (var wire in cut)
                {
                    wire.Cut();
                }
            },
            _ =>
            {
                foreach (var wire in cut)
                {
                    wire.Mend();
                }

                cut = [];
            });
    }

    /// <summary>Times between two bounds, in seconds; short ones are as likely as long ones.</summary>
    private static TimeSpan Some(Random random, double least, double most) =>
        TimeSpan.FromSeconds(least * Math.Pow(most / least, random.NextDouble()));

    private static (int One, int Other) TwoOf(Random random)
    {
        var one = random.Next(3);
        return (one, (one + 1 + random.Next(2)) % 3);
    }

    private static void Each(Action<int> action)
    {
        for (var number = 0; number < 3; number++)
        {
            action(number);
        }
    }
}
