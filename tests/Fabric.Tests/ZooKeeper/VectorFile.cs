using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Fabric.Tests.ZooKeeper;

/// <summary>A frame as it was on the wire.</summary>
/// <param name="FromClient">Direction.</param>
/// <param name="Bytes">With its length.</param>
/// <param name="Decoded">Its fields.</param>
internal sealed record RecordedFrame(bool FromClient, byte[] Bytes, JsonObject Decoded)
{
    public string Kind => (string)Decoded["kind"]!;

    /// <summary>Operation of a request, or of the request that a reply answers; null when it has none that is known.</summary>
    public string? Operation => (string?)Decoded["op"] ?? (string?)Decoded["replyTo"];

    public int Error => (int?)Decoded["err"] ?? 0;

    public JsonObject Body => Decoded["body"]!.AsObject();
}

/// <summary>Frames that belong together.</summary>
/// <param name="File">The file without its extension.</param>
/// <param name="Name">Unique in the file.</param>
/// <param name="IsRaw">Whether a raw socket sent them, not Java's client.</param>
/// <param name="Frames">In the order of the wire.</param>
internal sealed record RecordedExchange(string File, string Name, bool IsRaw, IReadOnlyList<RecordedFrame> Frames)
{
    public override string ToString() => $"{File} {Name}";
}

internal static class VectorFile
{
    public static JsonObject Load(string name) => JsonNode.Parse(File.ReadAllBytes(
        Path.Combine(Path.GetDirectoryName(ThisFile())!, "Vectors", name + ".json")))!.AsObject();

    public static IEnumerable<RecordedExchange> Exchanges(params string[] files) =>
        from file in files
        from exchange in Load(file)["exchanges"]!.AsArray()
        select new RecordedExchange(file, (string)exchange["name"]!, exchange["note"] is not null, [.. Frames(exchange)]);

    public static RecordedExchange Exchange(string file, string name) => Exchanges(file).Single(exchange => exchange.Name == name);

    private static IEnumerable<RecordedFrame> Frames(JsonNode exchange) =>
        from frame in exchange["frames"]!.AsArray()
        where frame["hex"] is not null // the others tell of connections that ended
        select new RecordedFrame(
            (string)frame["direction"]! == "client-to-server",
            Convert.FromHexString((string)frame["hex"]!),
            frame["decoded"]!.AsObject());

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
