using Fabric.Simulation.Cluster;

namespace Fabric.Simulation.Faults;

/// <summary>Something that goes wrong at a time, and perhaps ends.</summary>
/// <param name="At">When it begins.</param>
/// <param name="Lasts">How long until it is over.</param>
/// <param name="What">For people.</param>
/// <param name="Begin">Makes it.</param>
/// <param name="End">Takes it back; also called when everything is healed, in which case it may have been over already.</param>
internal sealed record Fault(TimeSpan At, TimeSpan Lasts, string What, Action<ClusterUnderTest> Begin, Action<ClusterUnderTest> End)
{
    public override string ToString() => $"{At.TotalSeconds:F3} s, for {Lasts.TotalSeconds:F3} s: {What}";
}
