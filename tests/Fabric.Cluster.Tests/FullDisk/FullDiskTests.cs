using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests.FullDisk;

/// <summary>Others fill the disks of replicas, each of which has one of its own, under load.</summary>
[TestFixture, Platform("Linux")]
internal sealed class FullDiskTests
{
    private const long MiB = 1024 * 1024;
    private const int DiskMebibytes = 400;
    private const int SegmentBytes = (int)MiB;
    private const int Padding = 8000; // some three new segments a second
    private const long Reserve = 128 * MiB; // below it producers wait
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(4);

    private readonly Dictionary<string, SmallDisk> _disks = [];
    private OwnContainers _containers = null!;

    [SetUp]
    public async Task StartAsync()
    {
        foreach (var name in OwnContainers.Names)
        {
            _disks.Add(name, await SmallDisk.MountAsync(DiskMebibytes));
        }

        _containers = await OwnContainers.StartAsync(new OwnContainersOptions
        {
            Directory = name => Path.Combine(_disks[name].Path, name),
            Properties = new Dictionary<string, string> { ["segment-bytes"] = $"{SegmentBytes}", ["checkpoint-bytes"] = $"{SegmentBytes}", ["retained-bytes"] = $"{16 * SegmentBytes}" },
        });
    }

    [TearDown]
    public async Task StopAsync()
    {
        await _containers.DisposeAsync();
        foreach (var disk in _disks.Values)
        {
            await disk.DisposeAsync();
        }

        _disks.Clear();
    }

    [Test]
    public async Task A_nearly_full_disk_of_the_master_holds_producers_back_until_there_is_room()
    {
        var (master, epoch, _) = await _containers.HealthyAsync();
        await using var traffic = await ConfirmedTraffic.StartAsync(_containers.FailoverUrl, _containers.FailoverUrl, "low", Padding);
        await _disks[master].FillAsync(left: Reserve * 3 / 4);
        await Processes.EventuallyAsync(
            async () =>
            {
                var before = traffic.Counts;
                await Task.Delay(Held);
                return traffic.Counts == before;
            },
            isHeld => isHeld,
            Healing,
            "no send is confirmed, and none is refused");
        Assert.That(_disks[master].Free, Is.GreaterThan(Reserve / 2), "what is left is for acknowledgements");

        _disks[master].Empty();
        await traffic.ProgressAsync(Healing);
        Assert.That((await _containers.HealthyAsync()).Epoch, Is.EqualTo(epoch), "nobody takes over");
        await traffic.VerifyAsync();
    }

    [Test]
    public async Task A_slave_whose_disk_is_full_leaves_and_comes_back_when_there_is_room()
    {
        var (master, epoch, _) = await _containers.HealthyAsync();
        var slave = OwnContainers.Names.First(name => name != master);
        await using var traffic = await ConfirmedTraffic.StartAsync(_containers.FailoverUrl, _containers.FailoverUrl, "slave", Padding);
        await _disks[slave].FillAsync(left: 0);
        await _containers.HealthyAsync(slaves: 1);
        await traffic.ProgressAsync(Healing);

        _disks[slave].Empty();
        Assert.That((await _containers.HealthyAsync(slaves: 2)).Epoch, Is.EqualTo(epoch), "nobody takes over");
        await traffic.VerifyAsync();
    }

    [Test]
    public async Task A_master_whose_disk_is_full_lets_another_lead_and_comes_back_when_there_is_room()
    {
        var (master, _, _) = await _containers.HealthyAsync();
        await using var traffic = await ConfirmedTraffic.StartAsync(_containers.FailoverUrl, _containers.FailoverUrl, "full", Padding);
        await _disks[master].FillAsync(left: 0);
        await _containers.HealthyAsync(slaves: 1, name => name != master);
        await traffic.ProgressAsync(Healing);

        _disks[master].Empty();
        await _containers.HealthyAsync(slaves: 2);
        await traffic.VerifyAsync();
    }
}
