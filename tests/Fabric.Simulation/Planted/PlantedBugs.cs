using System.Text;

namespace Fabric.Simulation.Planted;

/// <summary>A bug that is planted to see whether the simulation catches it.</summary>
/// <param name="Name">What the switch is called.</param>
/// <param name="What">What it breaks, for people.</param>
internal sealed record PlantedBug(string Name, string What);

/// <summary>A place in the source that a bug changes.</summary>
internal sealed record PlantedPlace(string Bug, string File, string Original, string Changed);

/// <summary>Reads the bugs and plants them into a copy of the source. The source itself knows nothing of them.</summary>
internal sealed class PlantedBugs
{
    /// <summary>Names the bug that is alive, for the processes that run the copy.</summary>
    public const string Variable = "FABRIC_PLANTED";

    private const string Switch = """
        namespace Fabric.Runtime;

        /// <summary>Says which planted bug is alive.</summary>
        public static class P
        {
            private static readonly string Alive = System.Environment.GetEnvironmentVariable("FABRIC_PLANTED") ?? "";

            public static bool Is(string name) => Alive == name;
        }
        """;

    private readonly List<PlantedPlace> _places = [];

    public List<PlantedBug> Bugs { get; } = [];

    /// <exception cref="FormatException">The file is not what it should be.</exception>
    public static PlantedBugs Read(string path)
    {
        var bugs = new PlantedBugs();
        string? file = null;
        StringBuilder original = new(), changed = new();
        foreach (var line in File.ReadLines(path).Append("== end: end"))
        {
            var isPlace = line.StartsWith('-') || line.StartsWith('+');
            if (!isPlace && file is not null && original.Length > 0)
            {
                bugs._places.Add(new PlantedPlace(bugs.Bugs[^1].Name, file, original.ToString(), changed.ToString()));
                file = null;
                original.Clear();
                changed.Clear();
            }

            if (line.StartsWith("== ", StringComparison.Ordinal))
            {
                var parts = line[3..].Split(": ", 2);
                bugs.Bugs.Add(parts.Length == 2 ? new PlantedBug(parts[0], parts[1]) : throw new FormatException($"{path}: {line}"));
            }
            else if (line.StartsWith("@ ", StringComparison.Ordinal))
            {
                file = line[2..];
            }
            else if (isPlace)
            {
                (line[0] == '-' ? original : changed).Append(line.AsSpan(1)).Append('\n');
            }
            else if (line.Length > 0 && line[0] != '#')
            {
                throw new FormatException($"{path}: {line}");
            }
        }

        bugs.Bugs.RemoveAt(bugs.Bugs.Count - 1);
        return bugs;
    }

    /// <summary>Copies the source and changes the copy.</summary>
    /// <param name="root">The checkout.</param>
    /// <param name="copy">An empty directory.</param>
    /// <exception cref="FormatException">A place is not in the source, or not once.</exception>
    public void Plant(string root, string copy)
    {
        foreach (var file in Directory.EnumerateFiles(root).Where(file => Path.GetFileName(file)[0] != '.'))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        foreach (var directory in new[] { "src", "proto", "tests/Fabric.Oracles", "tests/Fabric.Simulation" })
        {
            CopyTree(Path.Combine(root, directory), Path.Combine(copy, directory));
        }

        File.WriteAllText(Path.Combine(copy, "src/Fabric.Runtime/P.cs"), Switch);
        foreach (var place in _places)
        {
            var path = Path.Combine(copy, place.File);
            var text = File.ReadAllText(path);
            var at = text.IndexOf(place.Original.TrimEnd('\n'), StringComparison.Ordinal);
            if (at < 0 || text.IndexOf(place.Original.TrimEnd('\n'), at + 1, StringComparison.Ordinal) >= 0)
            {
                throw new FormatException($"{place.Bug}: {(at < 0 ? "not" : "more than once")} in {place.File}:\n{place.Original}");
            }

            text = text.Replace(place.Original.TrimEnd('\n'), place.Changed.TrimEnd('\n'), StringComparison.Ordinal);
            File.WriteAllText(path, text);
        }

        foreach (var path in _places.Select(place => Path.Combine(copy, place.File)).Distinct())
        {
            File.WriteAllText(path, $"using P = global::Fabric.Runtime.P;\n{File.ReadAllText(path)}");
        }
    }

    private static void CopyTree(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.EnumerateFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }

        foreach (var directory in Directory.EnumerateDirectories(from).Where(directory => Path.GetFileName(directory) is not ("bin" or "obj")))
        {
            CopyTree(directory, Path.Combine(to, Path.GetFileName(directory)));
        }
    }
}
