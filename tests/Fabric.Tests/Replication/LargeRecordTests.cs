using Fabric.Replication.Core;

namespace Fabric.Tests.Replication;

/// <summary>A record that is large for the disk. Alone, since it takes much memory and time from whoever runs beside it.</summary>
[TestFixture]
internal sealed class LargeRecordTests
{
    [Test]
    public async Task A_record_that_takes_longer_than_one_call_may_is_written_as_long_as_it_goes_on()
    {
        await using var group = await ReplicaGroup.StartAsync(options => options with
        {
            Times = options.Times with { DiskStallLimit = TimeSpan.FromMilliseconds(800) },
        });
        var master = await group.SettledMasterAsync();
        master.Append(0);
        await group.AgreedAsync(1);
        var epoch = master.Replica.Status.Epoch;
        foreach (var node in group.Nodes)
        {
            node.Disk.OnCall = (call, path) =>
            {
                if (call is "Write" or "Sync" && !path.Contains("checkpoint", StringComparison.Ordinal))
                {
                    Thread.Sleep(30); // some 30 MB/s
                }
            };
        }

        master.Append(1, 16 * 1024 * 1024);
        Assert.That(await group.AgreedAsync(2), Is.EqualTo(new[] { 0, 1 }));
        Assert.That((master.Replica.Status.Role, master.Replica.Status.Epoch), Is.EqualTo((ReplicaRole.Master, epoch)));
    }
}
