using System.Diagnostics;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests.Links;

/// <summary>Wires between processes are cut in every way that leaves the processes alive, under traffic, and healed.</summary>
[TestFixture, Platform("Linux")]
internal sealed class CutLinkTests
{
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(30);

    /// <summary>Longer than a session of the registry (10 s).</summary>
    private static readonly TimeSpan LongerThanSession = TimeSpan.FromSeconds(12);

    private WiredContainers _wired = null!;
    private ConfirmedTraffic _traffic = null!;
    private string _master = null!;
    private string[] _slaves = null!;
    private long _epoch;

    [OneTimeSetUp]
    public async Task StartAsync() => _wired = await WiredContainers.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_wired is not null)
        {
            await _wired.DisposeAsync();
        }
    }

    [SetUp]
    public async Task BeginAsync()
    {
        (_master, _epoch, _) = await _wired.Containers.HealthyAsync();
        _slaves = [.. OwnContainers.Names.Where(name => name != _master)];
        var url = _wired.Containers.FailoverUrl;
        _traffic = await ConfirmedTraffic.StartAsync(url, url, $"cut.{TestContext.CurrentContext.Test.ID}");
    }

    [TearDown]
    public async Task EndAsync()
    {
        _wired.HealAll();
        if (_traffic is not null)
        {
            await _traffic.DisposeAsync();
        }
    }

    [Test]
    public async Task A_master_cut_from_both_slaves_is_replaced_though_the_registry_and_clients_reach_it()
    {
        await ReplacedAsync(() =>
        {
            foreach (var slave in _slaves)
            {
                _wired.CutBoth(_master, slave);
            }
        });
    }

    [Test]
    public async Task A_master_whose_words_do_not_reach_the_slaves_is_replaced_though_it_hears_them()
    {
        await ReplacedAsync(() =>
        {
            foreach (var slave in _slaves)
            {
                _wired.Cut(_master, slave);
            }
        });
    }

    [Test]
    public async Task A_master_that_does_not_hear_its_slaves_is_replaced_though_they_hear_it()
    {
        await ReplacedAsync(() =>
        {
            foreach (var slave in _slaves)
            {
                _wired.Cut(slave, _master);
            }
        });
    }

    [Test]
    public async Task A_master_cut_from_the_registry_for_longer_than_its_session_stays_master()
    {
        await UnchangedAsync(() => _wired.CutBoth(_master, WiredContainers.Registry), LongerThanSession);
    }

    [Test]
    public async Task Slaves_cut_from_the_registry_for_longer_than_their_sessions_change_nothing()
    {
        await UnchangedAsync(
            () =>
            {
                foreach (var slave in _slaves)
                {
                    _wired.CutBoth(slave, WiredContainers.Registry);
                }
            },
            LongerThanSession);
    }

    [Test]
    public async Task A_slave_that_hears_nobody_changes_nothing_and_catches_up()
    {
        await UnchangedAsync(
            () =>
            {
                _wired.Cut(_master, _slaves[0]);
                _wired.Cut(_slaves[1], _slaves[0]);
            },
            TimeSpan.FromSeconds(6));
    }

    private async Task ReplacedAsync(Action cut)
    {
        var moment = Texts.Now;
        cut();
        var during = await _wired.Containers.HealthyAsync(slaves: 1, master => master != _master);
        await _traffic.ProgressAsync(Healing);
        Assert.That(await _wired.Containers.RoleOfAsync(_master), Is.Not.EqualTo("master"), "it gave up by itself");
        _wired.HealAll();
        var after = await _wired.Containers.HealthyAsync();
        Assert.That((after.Master, after.Epoch), Is.EqualTo((during.Master, during.Epoch)), "the old one takes nothing back");
        Assert.That(after.Epoch, Is.GreaterThan(_epoch));
        var (java, dotNet) = _traffic.PauseAfter(moment + TimeSpan.FromMilliseconds(100)); // less what was confirmed in the same moment
        await TestContext.Out.WriteLineAsync($"from the cut to the next confirmation: Java {java.TotalMilliseconds:0} ms, .NET {dotNet.TotalMilliseconds:0} ms");
        await _traffic.VerifyAsync();
    }

    private async Task UnchangedAsync(Action cut, TimeSpan duration)
    {
        var moment = Texts.Now;
        cut();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < duration; await Task.Delay(100))
        {
            await _traffic.ProgressAsync(Healing);
        }

        _wired.HealAll();
        var after = await _wired.Containers.HealthyAsync();
        Assert.That((after.Master, after.Epoch), Is.EqualTo((_master, _epoch)));
        var (java, dotNet) = _traffic.LongestGapsSince(moment);
        await TestContext.Out.WriteLineAsync($"longest time between two confirmations: Java {java.TotalMilliseconds:0} ms, .NET {dotNet.TotalMilliseconds:0} ms");
        await _traffic.VerifyAsync();
    }
}
