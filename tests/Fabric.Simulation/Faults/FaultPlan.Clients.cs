using Fabric.Simulation.Cluster;

namespace Fabric.Simulation.Faults;

/// <summary>What goes wrong between clients and brokers.</summary>
internal static partial class FaultPlan
{
    private static Fault CutClient(Random random, TimeSpan at)
    {
        var (client, broker) = (random.Next(8), random.Next(3));
        if (random.Next(2) == 0)
        {
            return new Fault(at, TimeSpan.Zero, "a client's connections are gone, and it alone knows", all => all.Client(client).Process?.Network.ForgetAll(), _ => { });
        }

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

    /// <summary>
    /// A client is heard, and hears nothing, while all brokers are restarted, one after the other or all at once: what it has sent is stored, and may be known from a checkpoint only when it sends it again.
    /// </summary>
    private static Fault RestartUnheard(Random random, TimeSpan at)
    {
        var (client, stops, first) = (random.Next(8), random.Next(3) > 0, random.Next(3));
        var before = Some(random, 0.001, 2);
        var apart = random.Next(3) == 0 ? TimeSpan.Zero : Some(random, 0.1, 4);
        var away = Some(random, 0.05, 1);
        var isOver = false;
        var cut = Cut(
            at,
            before + (2 * apart) + away + Some(random, 0.1, 3),
            $"nothing reaches a client, and all brokers {(stops ? "are stopped" : "die")} {apart.TotalSeconds:F3} s apart and come back",
            all => [.. all.Brokers.Select(broker => all.World.Wires.Between(broker.Host, all.Client(client)))]);
        return cut with
        {
            Begin = all =>
            {
                cut.Begin(all);
                for (var i = 0; i < 3; i++)
                {
                    var number = (first + i) % 3;
                    all.World.After(before + (i * apart), all.World.Control, () => Restart(all, number));
                }
            },
            End = all =>
            {
                isOver = true;
                cut.End(all);
                Each(all, all.EnsureRuns);
            },
        };

        void Restart(ClusterUnderTest all, int number)
        {
            if (isOver || all.IsHealed)
            {
                return;
            }

            if (stops)
            {
                all.Stop(number);
            }
            else
            {
                all.Kill(number);
            }

            all.World.After(away, all.World.Control, () => all.EnsureRuns(number));
        }
    }
}
