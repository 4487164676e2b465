using Fabric.Simulation.Cluster;
using Fabric.Simulation.Disk;

namespace Fabric.Simulation.Faults;

/// <summary>Disks that lose what they had. Always the same broker's in one world: what is promised is that a minority may be damaged.</summary>
internal static partial class FaultPlan
{
    private static Fault RotDisk(Random random, TimeSpan at)
    {
        var decay = DecayOf(random);
        return new Fault(at, TimeSpan.Zero, $"something rots on a disk: {decay}", all => Rot(all, decay), _ => { }) { Rots = true };
    }

    /// <summary>
    /// One is away and lacks what the others confirm; of these the one whose disk rots is killed, so that it sees the damage when it is back; and the other dies at once, or when the damage has just been repaired. The one that
    /// was away is back then: whatever they agree on now, they may only agree with what the damaged one has again.
    /// </summary>
    private static Fault RotAndDisplace(Random random, TimeSpan at)
    {
        var (decay, before, later) = (DecayOf(random), Some(random, 0.1, 5), Some(random, 1, 10));
        var (away, afterRepair, steps) = (1 + random.Next(2), random.Next(3) > 0, random.Next(200));
        var isOver = false;
        return new Fault(
            at,
            before + later + TimeSpan.FromSeconds(2),
            $"something rots on a disk while another broker is away, and the third one dies {(afterRepair ? "when it is repaired" : "meanwhile")}: {decay}",
            all =>
            {
                var rotten = RottenOf(all);
                var behind = (rotten + away) % 3;
                all.Kill(behind);
                void Displace()
                {
                    if (!isOver && !all.IsHealed)
                    {
                        all.Kill(3 - rotten - behind);
                        all.EnsureRuns(behind);
                    }
                }

                all.World.After(before, all.World.Control, () =>
                {
                    if (all.IsHealed)
                    {
                        return;
                    }

                    Rot(all, decay);
                    all.Kill(rotten);
                    all.EnsureRuns(rotten);
                    if (afterRepair)
                    {
                        all.At(Moment.Repaired, () => all.World.AfterSteps(1 + steps, Displace));
                    }
                    else
                    {
                        Displace();
                    }
                });
            },
            all =>
            {
                isOver = true;
                Each(all, all.EnsureRuns);
            })
        {
            Rots = true,
        };
    }

    private static Decay DecayOf(Random random) => random.Next(8) switch { < 4 => Decay.Bit, < 6 => Decay.Stale, 6 => Decay.Checkpoint, _ => Decay.File };

    private static int RottenOf(ClusterUnderTest all) => (int)(all.World.Seed % 3);

    private static void Rot(ClusterUnderTest all, Decay decay)
    {
        var host = all.Brokers[RottenOf(all)].Host;
        if (all.IsMemberTwice(host.Name))
        {
            return;
        }

        var what = host.Disk.Rot(decay); // not in the line: a trace that is off evaluates nothing of it
        all.World.Trace.Line(all.World.Now, host.Name, $"{what}");
    }
}
