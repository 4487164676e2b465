using System.Diagnostics;
using Fabric.Interop.Tests.Client;

namespace Fabric.Interop.Tests.OpenWire;

/// <summary>
/// The stock Java client does what JMS programs do, first against stock ActiveMQ, which proves the checks, then against Fabric.
/// </summary>
[TestFixture]
internal sealed class JmsTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private static readonly string[] Jars =
        ["activemq-client.jar", "geronimo-jms_1.1_spec.jar", "geronimo-j2ee-management-1.1-spec.jar", "hawtbuf.jar", "slf4j-api.jar", "slf4j-nop.jar"];

    private static string ClassPath => string.Join(':', Jars.Select(jar => $"/usr/share/java/{jar}"));

    [Test]
    public async Task Stock_ActiveMQ_passes_the_checks()
    {
        await using var broker = await ActiveMqBroker.StartAsync();
        await RunChecksAsync(broker.Url, ActiveMqBroker.User, ActiveMqBroker.Password);
    }

    [Test]
    public async Task Fabric_passes_the_same_checks()
    {
        await using var broker = await LocalBroker.StartAsync();
        await RunChecksAsync(broker.Url, "admin", "secret");
    }

    private static async Task RunChecksAsync(string url, string user, string password)
    {
        Assert.That(
            File.Exists("/usr/share/java/activemq-client.jar"), "the Java client is missing; run: apt-get install libactivemq-java");
        var classes = Directory.CreateTempSubdirectory("fabric-java-").FullName;
        try
        {
            var source = Path.Combine(AppContext.BaseDirectory, "OpenWire", "Java", "JmsChecks.java");
            var (compiled, messages) = await RunAsync("javac", "-nowarn", "-d", classes, "-cp", ClassPath, source);
            Assert.That(compiled, Is.Zero, messages);
            var (_, output) = await RunAsync(
                "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.apache.activemq.SERIALIZABLE_PACKAGES=*", "-cp", $"{classes}:{ClassPath}", "JmsChecks", url, user, password);
            var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Multiple(() =>
            {
                Assert.That(lines.Count(line => line.StartsWith("ok ", StringComparison.Ordinal)), Is.EqualTo(31), output);
                Assert.That(lines.Where(line => line.StartsWith("FAIL ", StringComparison.Ordinal)), Is.Empty);
            });
        }
        finally
        {
            Directory.Delete(classes, recursive: true);
        }
    }

    private static async Task<(int ExitCode, string Output)> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            Assert.Fail($"{program} did not end within {Limit}");
        }

        return (process.ExitCode, await output + await error);
    }
}
