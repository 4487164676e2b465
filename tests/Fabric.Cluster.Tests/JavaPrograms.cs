namespace Fabric.Cluster.Tests;

/// <summary>The programs in <c>Java/</c>, compiled once against Debian's stock ActiveMQ client.</summary>
internal static class JavaPrograms
{
    private static readonly string[] Jars =
    [
        "activemq-client.jar", "geronimo-jms_1.1_spec.jar", "geronimo-jms-1.1-spec.jar", "geronimo-j2ee-management-1.1-spec.jar", "hawtbuf.jar", "slf4j-api.jar",
        "slf4j-nop.jar",
    ];

    private static readonly Lazy<Task<string>> Classes = new(CompileAsync);

    public static async Task<Outcome> RunAsync(string program, TimeSpan limit, params string[] arguments) =>
        await Processes.RunAsync("java", await CommandAsync(program, arguments), limit);

    /// <param name="program">The class.</param>
    /// <param name="line">Told each line that it prints.</param>
    /// <param name="arguments">Its arguments.</param>
    public static async Task<RunningProgram> StartAsync(string program, Action<string> line, params string[] arguments) =>
        new(Processes.Start("java", await CommandAsync(program, arguments)), line);

    /// <summary>Removes what was compiled.</summary>
    public static async Task RemoveAsync()
    {
        if (Classes.IsValueCreated)
        {
            Directory.Delete(await Classes.Value, recursive: true);
        }
    }

    private static string ClassPath => string.Join(
        ':', Jars.Select(jar => $"/usr/share/java/{jar}").Where(File.Exists));

    private static async Task<string[]> CommandAsync(string program, string[] arguments) =>
        ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", $"{await Classes.Value}:{ClassPath}", program, .. arguments];

    private static async Task<string> CompileAsync()
    {
        var output = Directory.CreateTempSubdirectory("fabric-java-").FullName;
        var sources = Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Java"), "*.java");
        var outcome = await Processes.RunAsync(
            "javac", ["-nowarn", "-d", output, "-cp", ClassPath, .. sources], TimeSpan.FromMinutes(2));
        Assert.That(outcome.ExitCode, Is.Zero, outcome.ToString());
        return output;
    }
}
