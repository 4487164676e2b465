namespace Fabric.Cluster.Tests;

/// <summary>What the whole run leaves behind is removed at its end.</summary>
[SetUpFixture]
internal sealed class Leavings
{
    [OneTimeTearDown]
    public Task RemoveAsync() => JavaPrograms.RemoveAsync();
}
