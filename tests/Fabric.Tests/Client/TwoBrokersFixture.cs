using Fabric.Client;

namespace Fabric.Tests.Client;

/// <summary>Two scripted brokers and a client that connects to the first of them, and after a loss to the other.</summary>
internal abstract class TwoBrokersFixture
{
    protected ScriptedBroker One { get; private set; } = null!;

    protected ScriptedBroker Two { get; private set; } = null!;

    protected FabricClient Client { get; private set; } = null!;

    protected virtual FabricClientOptions Options => new();

    [SetUp]
    public void SetUp()
    {
        One = new ScriptedBroker();
        Two = new ScriptedBroker();
        Client = new FabricClient($"failover:({One.Url},{Two.Url})?randomize=false&jms.closeTimeout=0", Options);
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await Client.DisposeAsync();
        await One.DisposeAsync();
        await Two.DisposeAsync();
    }
}
