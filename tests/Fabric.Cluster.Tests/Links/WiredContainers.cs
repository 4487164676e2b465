using System.Collections.Concurrent;
using System.Net;
using Fabric.Cluster.Tests.Nodes;

namespace Fabric.Cluster.Tests.Links;

/// <summary>
/// Three containers whose connections to each other and to the registry go over <see cref="Wires"/>. Each listens on 127.0.0.1x and tells the others
/// 127.0.1.1x, where a relay opens for every port that it opens. Clients go around the wires.
/// </summary>
internal sealed class WiredContainers : IAsyncDisposable
{
    public const string Registry = "registry";
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(20);

    private readonly Wires _wires = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, string> _registryOf = [];
    private readonly ConcurrentDictionary<string, int> _processOf = new(StringComparer.Ordinal);
    private OwnContainers? _containers;
    private Task _relaying = Task.CompletedTask;

    public OwnContainers Containers => _containers!;

    public static async Task<WiredContainers> StartAsync()
    {
        var wired = new WiredContainers();
        try
        {
            wired._relaying = Task.Run(wired.RelayAsync);
            wired._containers = await OwnContainers.StartAsync(new OwnContainersOptions
            {
                Advertise = RelayAddressOf,
                ZooKeeper = wired.RegistryFor,
                Started = (name, process) => wired._processOf[name] = process,
            });
            return wired;
        }
        catch
        {
            await wired.DisposeAsync();
            throw;
        }
    }

    /// <summary>Holds back what one says to the other.</summary>
    public void Cut(string from, string to) => _wires.Cut(from, to);

    /// <summary>Holds back both directions.</summary>
    public void CutBoth(string one, string other)
    {
        _wires.Cut(one, other);
        _wires.Cut(other, one);
    }

    public void HealAll() => _wires.HealAll();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _relaying;
        _wires.HealAll();
        if (_containers is not null)
        {
            await _containers.DisposeAsync();
        }

        await _wires.DisposeAsync();
        _stop.Dispose();
    }

    private static IPAddress RelayAddressOf(string name) => new([127, 0, 1, OwnContainers.AddressOf(name).GetAddressBytes()[3]]);

    private string RegistryFor(string name, RootNode root)
    {
        lock (_registryOf)
        {
            if (!_registryOf.TryGetValue(name, out var address))
            {
                var registry = IPEndPoint.Parse(root.ConnectString);
                address = $"{_wires.Relay(new IPEndPoint(IPAddress.Loopback, 0), registry, Registry, (_, _) => name)}";
                _registryOf.Add(name, address);
            }

            return address;
        }
    }

    /// <summary>Opens a relay for each port that a container opens.</summary>
    private async Task RelayAsync()
    {
        var relayed = new HashSet<(string, int)>();
        while (!_stop.IsCancellationRequested)
        {
            foreach (var name in OwnContainers.Names)
            {
                foreach (var port in TcpTable.ListeningAt(OwnContainers.AddressOf(name)).Where(port => relayed.Add((name, port))))
                {
                    _wires.Relay(
                        new IPEndPoint(RelayAddressOf(name), port), new IPEndPoint(OwnContainers.AddressOf(name), port), name, ContainerOf);
                }
            }

            await Task.Delay(LookInterval, CancellationToken.None);
        }
    }

    private string? ContainerOf(IPEndPoint from, IPEndPoint to)
    {
        var owner = TcpTable.OwnerOf(from, to, _processOf.Values);
        return _processOf.FirstOrDefault(entry => entry.Value == owner).Key;
    }
}
