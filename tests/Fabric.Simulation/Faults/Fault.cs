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

    /// <summary>How much later than that it begins.</summary>
    public TimeSpan Later { get; init; }

    /// <summary>Or how many steps later.</summary>
    public int Steps { get; init; }

    /// <summary>Whether somebody has to look after the replica set.</summary>
    public bool ChangesSet { get; init; }

    /// <summary>Whether a replica moves to another machine.</summary>
    public bool Moves { get; init; }

    /// <summary>Whether a disk loses something that it says it has.</summary>
    public bool Rots { get; init; }

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

    /// <summary>A client sends a message just now.</summary>
    Send,

    /// <summary>A client asks for a commit just now.</summary>
    Commit,

    /// <summary>A broker has just begun to sync its journal.</summary>
    Sync,

    /// <summary>A replica has just got an epoch, and asks the others for their promises.</summary>
    Election,

    /// <summary>Another replica has just begun to lead.</summary>
    NewMaster,

    /// <summary>A change of the replica set has just been asked for, or a step of it was made.</summary>
    Membership,

    /// <summary>A replica whose journal was damaged has just been started with a copy.</summary>
    Repaired,
}

/// <summary>The broker that a fault is about.</summary>
/// <param name="Number">From 0; of a slave, whether it is the first or the second of them.</param>
/// <param name="Part">What it is at that moment.</param>
internal readonly record struct Victim(int Number, Part Part)
{
    public static Victim Draw(Random random) => new(random.Next(3), random.Next(6) switch { 0 => Part.Master, 1 => Part.Slave, 2 or 3 => Part.Actor, _ => Part.Any });

    public override string ToString() => Part switch
    {
        Part.Master => "the master",
        Part.Slave => "a slave",
        Part.Actor => "the broker that did that",
        _ => $"broker{Number + 1}",
    };
}

/// <summary>What a broker is in its cluster.</summary>
internal enum Part
{
    /// <summary>Whatever it is.</summary>
    Any,

    /// <summary>The newest that leads, or has led.</summary>
    Master,

    /// <summary>The one that the last moment was about: who syncs, asks for promises, or has begun to lead.</summary>
    Actor,

    /// <summary>Another.</summary>
    Slave,
}
