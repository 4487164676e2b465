using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests.PowerLoss;

/// <summary>The power fails for all brokers at once, under load: what was confirmed is on the disks, whatever their caches held.</summary>
[TestFixture, Platform("Linux")]
internal sealed class PowerLossTests
{
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    [TestCase(4)]
    [TestCase(50, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    public async Task Power_cuts_of_all_replicas_at_once_lose_nothing(int rounds)
    {
        var unlinked = Directory.CreateTempSubdirectory("fabric-unlinked-").FullName;
        try
        {
            await using var containers = await OwnContainers.StartAsync(new OwnContainersOptions
            {
                Program = Program,
                Environment = new Dictionary<string, string> { ["FABRIC_TEST_UNLINKED"] = unlinked },
            });
            await using var traffic = await ConfirmedTraffic.StartAsync(containers.FailoverUrl, containers.FailoverUrl, "power");
            for (var round = 0; round < rounds; round++)
            {
                await traffic.ProgressAsync(Healing);
                Array.ForEach(OwnContainers.Names, containers.Kill);
                foreach (var name in OwnContainers.Names)
                {
                    await containers.EndAsync(name);
                    containers.Start(name);
                }

                await containers.HealthyAsync();
            }

            await traffic.ProgressAsync(Healing);
            await traffic.VerifyAsync();
        }
        finally
        {
            Directory.Delete(unlinked, recursive: true);
        }
    }

    /// <summary>Beside ours, as built.</summary>
    private static string Program => Fabricd.Program
        .Replace("/src/Fabric.Server/", "/tests/Fabric.PowerLoss/", StringComparison.Ordinal)
        .Replace("/fabricd", "/Fabric.PowerLoss", StringComparison.Ordinal);
}
