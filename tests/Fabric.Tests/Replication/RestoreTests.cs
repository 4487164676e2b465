using Fabric.Replication;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Backup;
using Fabric.Store.Journal;
using Fabric.Tests.Store;

namespace Fabric.Tests.Replication;

/// <summary>What becomes of a backup: a whole broker when all replicas are lost, and nothing beside a broker that lives.</summary>
[TestFixture, Parallelizable]
internal sealed class RestoreTests
{
    private const string Home = "/journal";
    private const string Backup = "/backup";

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_broker_that_lost_all_replicas_is_restored_from_a_backup_of_any_of_them(bool ofMaster)
    {
        CrashDisk saved;
        Guid lostStore;
        await using (var group = await ReplicaGroup.StartAsync())
        {
            var master = await group.SettledMasterAsync();
            for (var i = 0; i < 500; i++)
            {
                master.Append(i, 700);
            }

            await group.AgreedAsync(500);
            var source = ofMaster ? master : group.Others(master).First();
            lostStore = StoreOf(source.Replica.Journal);
            saved = source.Disk;
            await group.EventuallyAsync(() => BackedUp(saved).GetAwaiter().GetResult() == source.Replica.Journal.End, "the mark says that all is committed");
        }

        var ids = new List<ReplicaId>();
        await using var restored = await ReplicaGroup.StartAsync(prepare: async disk => ids.Add(await RestoreAsync(saved, disk)));
        var next = await restored.SettledMasterAsync();
        Assert.That(ids.Distinct().Count(), Is.EqualTo(3));
        next.Append(500);
        Assert.That(await restored.AgreedAsync(501), Is.EqualTo(Enumerable.Range(0, 501)));
        Assert.That(StoreOf(next.Replica.Journal), Is.Not.EqualTo(lostStore), "a replica of the lost broker is a stranger to this one");

        // They are ordinary replicas from now on: what they formed is in their journals.
        await restored.CrashAsync(next, new Random(1));
        var third = await restored.MasterAsync();
        third.Append(501);
        await restored.StartAsync(next.Container);
        Assert.That(await restored.AgreedAsync(502), Is.EqualTo(Enumerable.Range(0, 502)));
    }

    [Test]
    public async Task A_restored_copy_beside_live_replicas_is_refused_and_harms_nobody()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        master.Append(0);
        await group.AgreedAsync(1);
        await group.EventuallyAsync(() => BackedUp(master.Disk).GetAwaiter().GetResult() > Position.Zero, "it can be backed up");
        var epoch = master.Replica.Status.Epoch;
        var disk = new CrashDisk();
        await RestoreAsync(master.Disk, disk);
        var copy = new ReplicaNode("broker4", disk);
        var refusal = Assert.ThrowsAsync<StoreException>(() => copy.StartAsync(
            new ReplicaOptions { Broker = "default", Container = "broker4", Journal = new JournalOptions { Directory = Home } }, group.Network.Create("broker4:1"), group.Registry));
        Assert.That(refusal!.Message, Does.Contain("is not in the replica set").And.Contain("restored from a backup"));
        master.Append(1);
        await group.AgreedAsync(2);
        Assert.That((master.IsServing, master.Replica.Status.Epoch), Is.EqualTo((true, epoch)));
    }

    [Test]
    public async Task A_copy_without_an_identity_does_not_start()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        await group.EventuallyAsync(() => BackedUp(master.Disk).GetAwaiter().GetResult() > Position.Zero, "it can be backed up");
        var disk = Move(master.Disk);
        await new JournalBackup(FabricRuntime.System with { Disk = disk }).CopyBackAsync(Backup, Home);
        var refusal = Assert.ThrowsAsync<StoreException>(() => new ReplicaNode("broker4", disk).StartAsync(
            new ReplicaOptions { Broker = "default", Container = "broker4", Journal = new JournalOptions { Directory = Home } }, group.Network.Create("broker4:1"), group.Registry));
        Assert.That(refusal!.Message, Does.Contain("no replica.state"));
    }

    /// <summary>Makes the backup anew.</summary>
    /// <returns>Where it ends.</returns>
    private static async Task<Position> BackedUp(CrashDisk disk)
    {
        foreach (var name in disk.ListFiles(Backup))
        {
            disk.Delete(Path.Combine(Backup, name));
        }

        try
        {
            return (await new JournalBackup(FabricRuntime.System with { Disk = disk }).CreateAsync(Home, Backup)).End;
        }
        catch (StoreException exception) when (exception.Message.Contains("known to be committed yet", StringComparison.Ordinal))
        {
            return Position.Zero;
        }
    }

    private static async Task<ReplicaId> RestoreAsync(CrashDisk saved, CrashDisk disk)
    {
        Move(saved, disk);
        return (await RestoredReplica.CreateAsync(FabricRuntime.System with { Disk = disk }, Backup, Home, CancellationToken.None)).Replica;
    }

    private static CrashDisk Move(CrashDisk from, CrashDisk? to = null)
    {
        to ??= new CrashDisk();
        foreach (var name in from.ListFiles(Backup))
        {
            to.WriteAll(Path.Combine(Backup, name), from.ReadAll(Path.Combine(Backup, name)));
        }

        return to;
    }

    private static Guid StoreOf(Journal journal) =>
        ReplicaSet.Decode(journal.SystemRecords.Last(record => record.Kind == ReplicaSet.RecordKind).Body.Span).StoreId;
}
