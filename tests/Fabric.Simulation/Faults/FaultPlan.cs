using Fabric.Simulation.Cluster;
using Fabric.Simulation.Kernel;
using Fabric.Simulation.Network;

namespace Fabric.Simulation.Faults;

/// <summary>
/// What goes wrong in one world. The seed first chooses the kinds that this world suffers from, then the single faults; each has a randomness of its
/// own, so that one can be left out and the others stay as they are.
/// </summary>
internal static partial class FaultPlan
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
        var changing = Array.Find(kinds, kind => kind == LoseDisk || kind == MoveReplica);
        var faults = new List<Fault>();
        for (var i = 0; i < count; i++)
        {
            var own = world.RandomFor($"fault {i}");
            var kind = changing is null ? kinds[own.Next(kinds.Length)] : i == 0 ? changing : own.Next(4) == 0 ? LagWhileChanging : kinds[own.Next(kinds.Length)];
            var fault = kind(own, end * own.NextDouble());
            var moment = own.Next(16) switch
            {
                < 5 => Moment.Any,
                < 7 => Moment.Confirm,
                < 8 => Moment.Send,
                < 10 => Moment.Commit,
                < 12 => Moment.Sync,
                < 14 => Moment.NewMaster,
                _ => Moment.Election,
            };
            var (later, steps) = own.Next(4) switch
            {
                0 => (TimeSpan.Zero, 0),
                1 => (Some(own, 0.0001, 0.05), 0),
                _ => (TimeSpan.Zero, (int)Some(own, 1, 500).TotalSeconds),
            };
            if (i > 0 && changing is not null && (kind == LagWhileChanging || own.Next(3) == 0))
            {
                moment = Moment.Membership;
            }

            if (!without.Contains(i))
            {
                faults.Add(fault with { What = $"#{i} {fault.What}", Moment = moment, Later = later, Steps = steps });
            }
        }

        return [.. faults.OrderBy(fault => fault.At)];
    }

    private static readonly Func<Random, TimeSpan, Fault>[] Kinds =
    [
        KillBroker, KillBroker, LosePower, LosePowerOfAll, LosePowerOfAll, StopBroker, PauseBroker, CutBrokers, CutOneWay, IsolateBroker, CutRegistry, CutRegistryFromAll,
        KillRegistry, DisplaceTwice, DieHalfHeard, RestoreRegistry, WipeRegistry, CutClient, KillClient, RestartUnheard, BreakConnections, SlowDisk, HangDisk, FillDisk, FailSync, RotDisk, RotAndDisplace, LoseDisk,
        MoveReplica, MoveClock, SlowWire, LosePackets,
    ];

    private static Fault KillBroker(Random random, TimeSpan at) =>
        ToBroker(random, at, Some(random, 0.1, 8), "is killed", (all, number) => all.Kill(number), (all, number) => all.EnsureRuns(number));

    private static Fault LosePower(Random random, TimeSpan at) =>
        ToBroker(random, at, Some(random, 0.5, 8), "loses power", (all, number) => all.LosePower(number), (all, number) => all.EnsureRuns(number));

    /// <summary>One of them may come back later than the others, who then have to do without what it knows.</summary>
    private static Fault LosePowerOfAll(Random random, TimeSpan at)
    {
        var later = random.Next(3) > 0 ? Some(random, 1, 12) : TimeSpan.Zero;
        return ToBroker(
            random,
            at,
            Some(random, 0.5, 4),
            $"and all others lose power, it for {later.TotalSeconds:F3} s longer",
            (all, _) => Each(all, number => all.LosePower(number)),
            (all, last) => Each(all, number => all.World.After(number == last ? later : TimeSpan.Zero, all.World.Control, () => all.EnsureRuns(number))));
    }

    private static Fault StopBroker(Random random, TimeSpan at) =>
        ToBroker(random, at, Some(random, 1, 8), "is stopped", (all, number) => all.Stop(number), (all, number) => all.EnsureRuns(number));

    private static Fault PauseBroker(Random random, TimeSpan at) => ToBroker(
        random,
        at,
        Some(random, 0.01, 20),
        "is paused",
        (all, number) => all.Brokers[number].Host.Pause(),
        (all, number) => all.Brokers[number].Host.Resume());

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

    /// <summary>Who still reaches its clients may lose their connections, and get them back with what it could not confirm: only what is committed may be confirmed then.</summary>
    private static Fault IsolateBroker(Random random, TimeSpan at)
    {
        var everybody = random.Next(4) == 0;
        var (breaks, share) = (!everybody && random.Next(3) > 0 ? Some(random, 0.005, 1) : (TimeSpan?)null, random.NextDouble());
        var victim = breaks is null ? Victim.Draw(random) : new Victim(0, Part.Master);
        var cut = Cut(at, Some(random, 0.05, 20), $"{victim} is cut off from the brokers{(everybody ? " and everybody else" : "")}{(breaks is null ? "" : ", and soon connections break")}", all =>
        {
            var cut = all.Brokers[all.Find(victim)].Host;
            return
            [
                .. all.World.Hosts
                    .Where(host => host != cut && (everybody || all.Brokers.Any(broker => broker.Host == host)))
                    .SelectMany(host => new[] { all.World.Wires.Between(cut, host), all.World.Wires.Between(host, cut) }),
            ];
        });
        return breaks is not { } later ? cut : cut with
        {
            Begin = all =>
            {
                cut.Begin(all);
                all.World.After(later, all.World.Control, () => all.BreakConnections(random, share));
            },
        };
    }

    /// <summary>
    /// The master goes on alone with its clients; the next one has hardly begun to lead when it dies and the first one is back, with records that nobody else has.
    /// </summary>
    private static Fault DisplaceTwice(Random random, TimeSpan at)
    {
        var (later, away) = (Some(random, 0.001, 0.5), Some(random, 1, 8));
        var cut = new List<Wire>();
        void Mend()
        {
            cut.ForEach(wire => wire.Mend());
            cut.Clear();
        }

        return new Fault(
            at,
            Some(random, 5, 25),
            "the master is cut off from the brokers until another leads and dies",
            all =>
            {
                var first = all.Find(new Victim(0, Part.Master));
                for (var number = 0; number < all.Brokers.Count; number++)
                {
                    if (number != first)
                    {
                        cut.AddRange([all.Between(first, number), all.Between(number, first)]);
                    }
                }

                cut.ForEach(wire => wire.Cut());
                all.At(Moment.NewMaster, () => all.World.After(later, all.World.Control, () =>
                {
                    if (cut.Count == 0)
                    {
                        return; // it has taken too long
                    }

                    var second = all.Find(new Victim(0, Part.Master));
                    all.Kill(second);
                    all.World.After(away, all.World.Control, () => all.EnsureRuns(second));
                    Mend();
                }));
            },
            _ => Mend());
    }

    private static Fault DieHalfHeard(Random random, TimeSpan at)
    {
        var death = new HalfHeardDeath(random);
        return new Fault(at, death.Later + Some(random, 1, 8), $"{death}", death.Begin, death.End);
    }

    private static Fault CutRegistry(Random random, TimeSpan at)
    {
        var (victim, both) = (Victim.Draw(random), random.Next(3) > 0);
        return Cut(at, Some(random, 0.05, 25), $"{victim} is cut off from the registry{(both ? "" : ", one way")}", all =>
        {
            var cut = all.Brokers[all.Find(victim)].Host;
            return both
                ? [all.World.Wires.Between(cut, all.Registry.Host), all.World.Wires.Between(all.Registry.Host, cut)]
                : [all.World.Wires.Between(all.Registry.Host, cut)];
        });
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

    /// <summary>A copy of the registry's disk is made, and some time later the registry is set back to it. The master may have died meanwhile, and others be what they were not.</summary>
    private static Fault RestoreRegistry(Random random, TimeSpan at)
    {
        var duration = Some(random, 1, 15);
        var (dies, share) = (random.Next(2) == 0, random.NextDouble());
        IReadOnlyDictionary<string, Disk.FileContent>? copy = null;
        int? dead = null;
        return new Fault(
            at,
            duration,
            $"the registry is set back to what it was at this moment, at the end{(dies ? "; the master is killed meanwhile" : "")}",
            all =>
            {
                copy = all.Registry.Host.Disk.Copy();
                if (dies)
                {
                    all.World.After(duration * share, all.World.Control, () =>
                    {
                        if (copy is not null)
                        {
                            dead = all.Find(new Victim(0, Part.Master));
                            all.Kill(dead.Value);
                        }
                    });
                }
            },
            all =>
            {
                if (copy is not null)
                {
                    all.StopRegistry(losesPower: false);
                    all.Registry.Host.Disk.PutBack(copy);
                    all.RegistryHasForgotten = true;
                    copy = null;
                }

                all.EnsureRegistryRuns();
                if (dead is { } number)
                {
                    dead = null;
                    all.EnsureRuns(number);
                }
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
            all.RegistryHasForgotten = true;
        },
        all => all.EnsureRegistryRuns());

    private static Fault SlowDisk(Random random, TimeSpan at)
    {
        var time = Some(random, 0.005, 0.3);
        return ToBroker(
            random,
            at,
            Some(random, 1, 10),
            $"has a disk that takes {time.TotalMilliseconds:F0} ms to sync",
            (all, number) => all.Brokers[number].Host.Disk.SyncTime = time,
            (all, number) => all.Brokers[number].Host.Disk.SyncTime = TimeSpan.FromMicroseconds(300));
    }

    private static Fault HangDisk(Random random, TimeSpan at)
    {
        var time = Some(random, 0.1, 20);
        return ToBroker(random, at, time, "has a disk that hangs", (all, number) => all.HangDisk(number, time), (_, _) => { });
    }

    private static Fault FillDisk(Random random, TimeSpan at)
    {
        var left = random.Next(256 * 1024);
        return ToBroker(
            random,
            at,
            Some(random, 0.5, 15),
            $"has {left / 1024} KiB left on its disk",
            (all, number) => all.Brokers[number].Host.Disk.Capacity = all.Brokers[number].Host.Disk.Used + left,
            (all, number) => all.Brokers[number].Host.Disk.Capacity = long.MaxValue);
    }

    private static Fault FailSync(Random random, TimeSpan at)
    {
        var after = random.Next(5);
        return ToBroker(
            random,
            at,
            Some(random, 1, 10),
            $"will fail a sync, after {after} others",
            (all, number) => all.Brokers[number].Host.Disk.FailsSyncAfter = after,
            (all, number) => all.Brokers[number].Host.Disk.FailsSyncAfter = -1);
    }

    /// <summary>Of the broker whose disk may rot, and for the same reason.</summary>
    private static Fault LoseDisk(Random random, TimeSpan at) => new(
        at,
        Some(random, 0.1, 8),
        "a disk is lost, and another takes its place",
        all => all.LoseDisk((int)(all.World.Seed % 3)),
        all => all.EnsureRuns((int)(all.World.Seed % 3)))
    {
        ChangesSet = true,
    };

    /// <summary>Half of the time the master dies half heard, after the replica that comes has been taken and about when it becomes a member.</summary>
    private static Fault MoveReplica(Random random, TimeSpan at)
    {
        var victim = Victim.Draw(random);
        var death = random.Next(2) == 0 ? new HalfHeardDeath(random) : null;
        return new Fault(
            at,
            Some(random, 3, 12),
            $"{victim} is to move to the spare machine{(death is null ? "" : $", and meanwhile {death}")}",
            all =>
            {
                // Who moves is away for good in the end. Where a disk rots it is that one's replica: together with another it would be a majority.
                all.Move(all.DiskRots ? RottenOf(all) : all.Find(victim));
                if (death is not null)
                {
                    all.At(Moment.Membership, () => all.At(Moment.Membership, () => death.Begin(all)));
                }
            },
            all => death?.End(all))
        {
            ChangesSet = true,
            Moves = true,
        };
    }

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

    /// <summary>A slave has little of what the master commits while the replica set changes: whoever confirms in its place has to be a member.</summary>
    private static Fault LagWhileChanging(Random random, TimeSpan at)
    {
        var (victim, ofDisk, time) = (new Victim(random.Next(2), Part.Slave), random.Next(2) == 0, Some(random, 0.02, 1));
        var mend = () => { };
        return new Fault(
            at,
            Some(random, 1, 8),
            $"{victim} lags {time.TotalMilliseconds:F0} ms behind, {(ofDisk ? "because its disk is slow" : "because the master's records come late")}",
            all =>
            {
                var number = all.Find(victim);
                if (ofDisk)
                {
                    var disk = all.Brokers[number].Host.Disk;
                    (disk.SyncTime, mend) = (time, () => disk.SyncTime = TimeSpan.FromMicroseconds(300));
                }
                else
                {
                    var wire = all.Between(all.Find(new Victim(0, Part.Master)), number);
                    (wire.Slowness, mend) = (time, () => wire.Slowness = TimeSpan.Zero);
                }
            },
            _ => mend());
    }

    private static Fault LosePackets(Random random, TimeSpan at)
    {
        var share = random.NextDouble() * 0.05;
        return new Fault(
            at, Some(random, 0.5, 5), $"{share:P1} of all packets get lost", all => all.World.Wires.Loss = share, all => all.World.Wires.Loss = 0);
    }

    /// <summary>Something that one broker suffers from; who it is, is seen when the time has come.</summary>
    private static Fault ToBroker(
        Random random, TimeSpan at, TimeSpan lasts, string what, Action<ClusterUnderTest, int> begin, Action<ClusterUnderTest, int> end)
    {
        var victim = Victim.Draw(random);
        var number = 0;
        return new Fault(
            at,
            lasts,
            $"{victim} {what}",
            all =>
            {
                number = all.Find(victim);
                begin(all, number);
            },
            all => end(all, number));
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

    private static void Each(ClusterUnderTest all, Action<int> action)
    {
        for (var number = 0; number < all.Brokers.Count; number++)
        {
            action(number);
        }
    }
}
