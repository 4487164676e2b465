using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Network;

/// <summary>
/// What is between the hosts: each pair has a wire in each direction, with a delay of its own, that may lose packets (which then come late, as TCP
/// sends them again), be slow, or be cut. What a cut wire holds is delivered, late, when it is mended.
/// </summary>
internal sealed class Wires(World world)
{
    private readonly Random _random = world.RandomFor("network");
    private readonly SortedDictionary<(string From, string To), Wire> _wires = [];
    private readonly SortedDictionary<string, Host> _hosts = new(StringComparer.Ordinal);

    /// <summary>Shortest time from host to host.</summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMicroseconds(50);

    /// <summary>Most that is added at random.</summary>
    public TimeSpan Jitter { get; set; } = TimeSpan.FromMicroseconds(200);

    /// <summary>How likely a packet is lost and comes a retransmission later.</summary>
    public double Loss { get; set; }

    /// <summary>Bytes that a direction of a connection holds before its writer waits.</summary>
    public int WindowBytes { get; set; } = 256 * 1024;

    public Random Random => _random;

    public Wire Between(Host from, Host to)
    {
        if (!_wires.TryGetValue((from.Name, to.Name), out var wire))
        {
            _wires[(from.Name, to.Name)] = wire = new Wire(world, this);
        }

        return wire;
    }

    public Host? Find(string address)
    {
        if (!_hosts.TryGetValue(address, out var host))
        {
            host = world.Hosts.FirstOrDefault(host => host.Address == address);
            if (host is not null)
            {
                _hosts[address] = host;
            }
        }

        return host;
    }

    /// <summary>Mends everything.</summary>
    public void Heal()
    {
        Loss = 0;
        foreach (var wire in _wires.Values)
        {
            wire.Heal();
        }
    }
}

/// <summary>One direction between two hosts.</summary>
internal sealed class Wire(World world, Wires wires)
{
    private static readonly TimeSpan Retransmission = TimeSpan.FromMilliseconds(200);

    private readonly List<PacketStream> _held = [];
    private int _cuts;

    /// <summary>Added to each packet's time.</summary>
    public TimeSpan Slowness { get; set; }

    public bool IsCut => _cuts > 0;

    public void Cut() => _cuts++;

    /// <summary>Takes one cut back; what was held comes after a retransmission.</summary>
    public void Mend()
    {
        if (_cuts > 0 && --_cuts == 0)
        {
            Release();
        }
    }

    public void Heal()
    {
        Slowness = TimeSpan.Zero;
        if (_cuts > 0)
        {
            _cuts = 0;
            Release();
        }
    }

    /// <summary>Carries something at the end of a stream; calls <paramref name="arrive"/> when it and all before it is there.</summary>
    /// <param name="stream">What it is part of: what TCP carries arrives in order, whatever is lost and sent again.</param>
    /// <param name="arrive">What happens there. The kernel of the host does it, whether or not a process runs.</param>
    public void Carry(PacketStream stream, Action arrive)
    {
        var time = wires.Delay + (wires.Jitter * wires.Random.NextDouble()) + Slowness;
        for (var lost = Retransmission; wires.Loss > 0 && wires.Random.NextDouble() < wires.Loss && lost < Retransmission * 16; lost *= 2)
        {
            time += lost;
        }

        var at = world.Now + time;
        stream.LastArrival = at = at > stream.LastArrival ? at : stream.LastArrival;
        stream.Packets.Enqueue(arrive);
        world.After(at - world.Now, world.Control, () => Deliver(stream));
    }

    private void Deliver(PacketStream stream)
    {
        if (IsCut)
        {
            _held.Add(stream);
        }
        else
        {
            stream.Packets.Dequeue()();
        }
    }

    private void Release()
    {
        PacketStream[] held = [.. _held];
        _held.Clear();
        var after = Retransmission * wires.Random.NextDouble();
        foreach (var stream in held)
        {
            world.After(after, world.Control, () => Deliver(stream));
        }
    }
}

/// <summary>Packets on their way that arrive in order.</summary>
internal sealed class PacketStream
{
    public Queue<Action> Packets { get; } = new();

    /// <summary>When the last of them arrives, unless it is held up.</summary>
    public TimeSpan LastArrival { get; set; }
}
