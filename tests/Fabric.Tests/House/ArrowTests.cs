using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Fabric.Tests.House;

/// <summary>The table of <c>src/README.md</c> as a test: who may know whom.</summary>
[TestFixture]
internal sealed class ArrowTests
{
    private static readonly Dictionary<string, string[]> Arrows = new(StringComparer.Ordinal)
    {
        ["Fabric.Runtime"] = [],
        ["Fabric.Grpc"] = ["Fabric.Runtime"],
        ["Fabric.Protocols"] = ["Fabric.Runtime"],
        ["Fabric.ZooKeeper"] = ["Fabric.Runtime"],
        ["Fabric.Store"] = ["Fabric.Runtime"],
        ["Fabric.Registry"] = ["Fabric.ZooKeeper"],
        ["Fabric.Replication"] = ["Fabric.Grpc", "Fabric.Store"],
        ["Fabric.Broker"] = ["Fabric.Store"],
        ["Fabric.Client"] = ["Fabric.Protocols", "Fabric.Registry"],
        ["Fabric.Server"] = ["Fabric.Broker", "Fabric.Protocols", "Fabric.Registry", "Fabric.Replication"],
        ["Fabric.Cli"] = ["Fabric.Broker", "Fabric.Client", "Fabric.Replication"],
    };

    private static readonly string Root = Path.GetFullPath(Path.Combine(ThisDirectory(), "..", "..", ".."));

    [Test]
    public void Every_project_refers_to_what_the_table_says_and_nothing_else()
    {
        var found = ProjectFiles("src").ToDictionary(
            file => Path.GetFileNameWithoutExtension(file), References, StringComparer.Ordinal);
        Assert.That(found.Keys, Is.EquivalentTo(Arrows.Keys));
        Assert.Multiple(() =>
        {
            foreach (var (project, references) in found)
            {
                Assert.That(references, Is.EquivalentTo(Arrows[project]), project);
            }
        });
    }

    [TestCase("Fabric.Store")]
    [TestCase("Fabric.Protocols")]
    [TestCase("Fabric.Runtime")]
    public void The_store_and_the_codecs_depend_on_no_package(string project)
    {
        var file = XDocument.Load(Path.Combine(Root, "src", project, $"{project}.csproj"));
        Assert.That(
            file.Descendants().Where(element => element.Name.LocalName is "PackageReference" or "FrameworkReference"), Is.Empty);
    }

    [Test]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "Fabric.sln")).Replace('\\', '/');
        Assert.That(
            ProjectFiles("src").Concat(ProjectFiles("tests")).Select(file => Path.GetRelativePath(Root, file)),
            Is.All.Matches<string>(file => solution.Contains($"\"{file}\"", StringComparison.Ordinal)));
    }

    private static IEnumerable<string> ProjectFiles(string folder) =>
        Directory.GetDirectories(Path.Combine(Root, folder)).SelectMany(directory => Directory.GetFiles(directory, "*.csproj"));

    private static string[] References(string file) =>
    [
        .. XDocument.Load(file).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/'))),
    ];

    private static string ThisDirectory([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
