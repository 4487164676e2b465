using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>
/// A script that was recorded from Apache ZooKeeper: reply, error, transaction number, record and events of every step must
/// be those of the recording.
/// </summary>
internal static class ConformanceScript
{
    public static IEnumerable<JsonElement> Load()
    {
        var path = Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "Vectors", "conformance.json");
        return JsonDocument.Parse(File.ReadAllBytes(path)).RootElement.GetProperty("scripts").EnumerateArray();
    }

    public static async Task RunAsync(JsonElement script, int port)
    {
        await using var runner = new ScriptRunner(port);
        var index = 0;
        foreach (var step in script.GetProperty("steps").EnumerateArray())
        {
            AssertAsRecorded(step, await runner.RunAsync(step), $"step {index++}: {step}");
        }
    }

    private static void AssertAsRecorded(JsonElement step, StepOutcome outcome, string where)
    {
        if (step.TryGetProperty("err", out var error))
        {
            Assert.That(outcome.Error, Is.EqualTo(error.GetInt32()), where);
        }

        if (step.TryGetProperty("zxid", out var zxid))
        {
            Assert.That(outcome.Zxid, Is.EqualTo(zxid.GetInt64()), where);
        }

        if (step.TryGetProperty("response", out var response))
        {
            Assert.That(ScriptRunner.Text(outcome.Response), Is.EqualTo(ScriptRunner.Text(JsonNode.Parse(response.GetRawText()))), where);
        }

        var events = step.GetProperty("events").EnumerateArray()
            .Select(e => (Session: e.GetProperty("session").GetString()!, Event: $"{e.GetProperty("type")} {e.GetProperty("path")}"))
            .OrderBy(e => e.Session, StringComparer.Ordinal); // stable: the order within a session counts
        Assert.That(outcome.Events, Is.EqualTo(events), where);
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
