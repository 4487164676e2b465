using Fabric.Simulation.Cluster;
using Fabric.Simulation.Network;

namespace Fabric.Simulation.Faults;

/// <summary>
/// One of the others does not hear the master any more, and soon the master dies: what it has committed with the rest the one has never seen, and is asked for its vote.
/// </summary>
internal sealed class HalfHeardDeath(Random random)
{
    private readonly int _other = 1 + random.Next(3);
    private int _master;
    private Wire? _cut;
    private bool _isOver;

    /// <summary>How long the master lives on.</summary>
    public TimeSpan Later { get; } = TimeSpan.FromSeconds(0.005 * Math.Pow(300, random.NextDouble()));

    public void Begin(ClusterUnderTest all)
    {
        if (_isOver || all.IsHealed)
        {
            return; // its moment came too late
        }

        _master = all.Find(new Victim(0, Part.Master));
        _cut = all.Between(_master, (_master + _other) % all.Brokers.Count);
        _cut.Cut();
        all.World.Trace.Line(all.World.Now, all.Brokers[_master].Host.Name, $"is not heard by broker{((_master + _other) % all.Brokers.Count) + 1} any more");
        all.World.After(Later, all.World.Control, () =>
        {
            if (!_isOver && !all.IsHealed)
            {
                all.Kill(_master);
            }
        });
    }

    public void End(ClusterUnderTest all)
    {
        _isOver = true;
        if (_cut is not null)
        {
            _cut.Mend();
            _cut = null;
            all.EnsureRuns(_master);
        }
    }

    public override string ToString() => $"the master is not heard by another any more, and dies after {Later.TotalSeconds:F3} s";
}
