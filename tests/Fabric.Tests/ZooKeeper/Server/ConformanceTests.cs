using System.Text.Json;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>The embedded server does what Apache ZooKeeper was recorded to do.</summary>
public sealed class ConformanceTests
{
    /// <summary>Records a defect of Apache ZooKeeper 3.8 that this server does not share.</summary>
    private const string RecordedDefect = "persistent-watch-interference";

    public static IEnumerable<TestCaseData> Scripts() => ConformanceScript.Load()
        .Where(script => NameOf(script) != RecordedDefect)
        .Select(script => new TestCaseData(script).SetArgDisplayNames(NameOf(script)));

    [TestCaseSource(nameof(Scripts))]
    public async Task A_recorded_script_gives_the_recorded_answers(JsonElement script)
    {
        await using var server = await TestServer.StartAsync();

        await ConformanceScript.RunAsync(script, server.Port);
    }

    [Test]
    public async Task A_one_shot_watch_leaves_a_persistent_watch_on_the_same_path_alone()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/pi");
        await client.RequestAsync(OpCode.AddWatch, new AddWatchRequest("/pi", (int)AddWatchMode.Persistent));
        await client.RequestAsync(OpCode.GetData, new PathWatchRequest("/pi", true));
        await client.RequestAsync(OpCode.GetChildren, new PathWatchRequest("/pi", true));

        await client.SetDataAsync("/pi", [1]);
        await client.SetDataAsync("/pi", [2]);
        await client.CreateAsync("/pi/x");
        await client.CreateAsync("/pi/y");

        Assert.That(
            (await client.DrainEventsAsync()).Select(e => e.Type),
            Is.EqualTo(new[]
            {
                WatchEventType.NodeDataChanged,
                WatchEventType.NodeDataChanged,
                WatchEventType.NodeChildrenChanged,
                WatchEventType.NodeChildrenChanged,
            }));
    }

    private static string NameOf(JsonElement script) => script.GetProperty("name").GetString()!;
}
