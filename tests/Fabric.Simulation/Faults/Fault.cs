using Fabric.Simulation.Cluster;

namespace Fabric.Simulation.Faults;

/// <summary>Something that goes wrong at a time, and perhaps ends.</summary>
/// <param name="At">When it begins.</param>
/// <param name="Lasts">How long until it is over.</param>
/// <param name="What">For people.</param>
/// <param name="Begin">Makes it.</param>
/// <param name="End">Takes it back.</param>
internal sealed record Fault(TimeSpan At, TimeSpan Lasts, string What, Action<ClusterUnderTest> Begin, Action<ClusterUnderTest> End)
{
    /// <summary>What it waits for when its time has come.</summary>
    public Moment Moment { get; init; }

    public override string ToString() =>
        $"{At.TotalSeconds:F3} s, for {Lasts.TotalSeconds:F3} s: {What}{(Moment == Moment.Any ? "" : $" ({Moment})")}";
}

/// <summary>A moment at which much is on its way, so that a fault hits where it hurts.</summary>
internal enum Moment
{
    /// <summary>Any.</summary>
    Any,

    /// <summary>A client has just been told that its message is safe.</summary>
    Confirm,

    /// <summary>Another replica has just begun to lead.</summary>
    NewMaster,
}
