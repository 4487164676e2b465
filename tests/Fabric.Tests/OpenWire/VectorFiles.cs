using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Fabric.Tests.OpenWire;

/// <summary>The recorded encodings beside this file.</summary>
internal static class VectorFiles
{
    public static string Directory => Path.Combine(ThisDirectory(), "Vectors");

    public static JsonElement Load(params string[] path) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine([Directory, .. path]))).RootElement;

    /// <summary>Version 12 cases of all types: type, case name, stack traces, fields and the loose frame.</summary>
    public static IEnumerable<TestCaseData> Current()
    {
        foreach (var file in TypeFiles(Directory))
        {
            var root = JsonDocument.Parse(File.ReadAllBytes(file)).RootElement;
            foreach (var item in root.GetProperty("cases").EnumerateArray())
            {
                yield return Case(root, item, 12, !item.TryGetProperty("stackTraceEnabled", out var trace) || trace.GetBoolean());
            }
        }
    }

    /// <summary>The same for versions 1 to 11, once per version.</summary>
    public static IEnumerable<TestCaseData> Legacy()
    {
        foreach (var file in TypeFiles(Path.Combine(Directory, "legacy")))
        {
            var root = JsonDocument.Parse(File.ReadAllBytes(file)).RootElement;
            var trace = root.GetProperty("stackTraceEnabled").GetBoolean();
            foreach (var item in root.GetProperty("cases").EnumerateArray())
            {
                foreach (var version in item.GetProperty("versions").EnumerateArray())
                {
                    yield return Case(root, item, version.GetInt32(), trace);
                }
            }
        }
    }

    private static IEnumerable<string> TypeFiles(string directory) =>
        System.IO.Directory.EnumerateFiles(directory, "*.json")
            .Where(file => !Path.GetFileName(file).StartsWith('_'))
            .Order(StringComparer.Ordinal);

    private static TestCaseData Case(JsonElement root, JsonElement item, int version, bool trace)
    {
        var type = root.GetProperty("type").GetString();
        return new TestCaseData(version, trace, item.GetProperty("fields"), Convert.FromHexString(item.GetProperty("loose").GetString()!))
            .SetArgDisplayNames(type!, item.GetProperty("name").GetString()!, $"version {version}", trace ? "stack traces" : "no stack traces");
    }

    private static string ThisDirectory([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
