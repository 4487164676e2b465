using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Runtime;

namespace Fabric.Tests.Cli;

[TestFixture]
internal sealed class WaitingTests
{
    [Test]
    public async Task A_registry_that_is_away_for_a_while_does_not_end_it()
    {
        var asked = 0;
        var isTrue = await Waiting.UntilAsync(
            FabricRuntime.System, TimeSpan.FromMinutes(1),
            () => ++asked < 4 ? throw new RegistryUnavailableException("away") : Task.FromResult(true), CancellationToken.None);
        Assert.That((isTrue, asked), Is.EqualTo((true, 4)));
    }

    [Test]
    public void One_that_is_away_at_the_end_is_what_was_wrong() => Assert.That(
        async () => await Waiting.UntilAsync(
            FabricRuntime.System, TimeSpan.FromMilliseconds(150), () => throw new RegistryUnavailableException("away"), CancellationToken.None),
        Throws.TypeOf<RegistryUnavailableException>());

    [Test]
    public async Task The_limit_passes() => Assert.That(
        await Waiting.UntilAsync(FabricRuntime.System, TimeSpan.FromMilliseconds(150), () => Task.FromResult(false), CancellationToken.None), Is.False);
}
