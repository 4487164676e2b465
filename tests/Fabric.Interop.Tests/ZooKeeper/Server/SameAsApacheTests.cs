using System.Text.Json;
using Fabric.Tests.ZooKeeper.Server;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Interop.Tests.ZooKeeper.Server;

/// <summary>Made-up scripts give the same answers, transaction numbers and events on Apache ZooKeeper and on the embedded server.</summary>
public sealed class SameAsApacheTests
{
    private const int StepsPerScript = 250;
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    /// <summary>A server that is just starting sometimes leaves a connection without an answer.</summary>
    private static readonly TimeSpan AttemptLimit = TimeSpan.FromSeconds(2);

    /// <summary>It serves all scripts, and removes no container meanwhile: that would take a transaction number at any moment.</summary>
    private readonly ApacheZooKeeper _apache = new(tickTime: 2000, javaFlags: "-Dznode.container.checkIntervalMs=86400000");

    [OneTimeSetUp]
    public async Task StartApacheAsync()
    {
        await _apache.StartAsync();

        // It listens a moment before it serves.
        using var timeout = new CancellationTokenSource(StartLimit);
        while (!await IsServingAsync())
        {
            await Task.Delay(50, timeout.Token);
        }
    }

    [OneTimeTearDown]
    public async Task StopApacheAsync() => await _apache.DisposeAsync();

    [Test]
    public async Task A_random_script_gives_the_same_on_both([Range(1, 16)] int seed)
    {
        await using var server = await TestServer.StartAsync();
        await using var apache = new ScriptRunner(_apache.Port);
        await using var embedded = new ScriptRunner(server.Port);
        var index = 0;

        foreach (var step in new RandomScript(seed).Steps(StepsPerScript))
        {
            var expected = await apache.RunAsync(step);
            var actual = await embedded.RunAsync(step);
            Assert.That(Text(step, actual), Is.EqualTo(Text(step, expected)), $"step {index++}: {step}");
        }
    }

    /// <summary>The ephemerals of a session go in one transaction; Apache ZooKeeper deletes them in the order of a hash table.</summary>
    private static string Text(JsonElement step, StepOutcome outcome) => step.GetProperty("op").GetString() == "closeSession"
        ? (outcome with { Events = [.. outcome.Events.Order()] }).ToString()
        : outcome.ToString();

    private async Task<bool> IsServingAsync()
    {
        try
        {
            await using var client = await RawClient.OpenAsync(_apache.Port).WaitAsync(AttemptLimit);
            await client.RequestAsync(OpCode.CloseSession);
            return true;
        }
        catch (Exception exception) when (exception is IOException or TimeoutException)
        {
            return false;
        }
    }
}
