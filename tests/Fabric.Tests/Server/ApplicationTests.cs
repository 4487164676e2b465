using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Node;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class ApplicationTests
{
    private string _directory = null!;

    [SetUp]
    public void Create() => _directory = Directory.CreateTempSubdirectory("fabric-application-").FullName;

    [TearDown]
    public void Delete() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task A_directory_whose_files_cannot_be_used_ends_with_74()
    {
        Directory.CreateDirectory(Path.Combine(_directory, PidFile.Name));
        Assert.That(await Application.RunAsync(["stop", "--data", _directory], FabricRuntime.System), Is.EqualTo(ExitCode.LocalFailure));
    }
}
