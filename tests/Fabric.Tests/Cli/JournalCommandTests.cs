using System.Text.Json;
using Fabric.Replication;
using Fabric.Store.Journal;
using Fabric.Tests.Store;

namespace Fabric.Tests.Cli;

/// <summary><c>journal-verify</c> and <c>journal-print</c> on real files.</summary>
[TestFixture]
internal sealed class JournalCommandTests
{
    private string _home = null!;

    [SetUp]
    public void CreateHome() => _home = Directory.CreateTempSubdirectory("fabric-journal-").FullName;

    [TearDown]
    public void DeleteHome() => Directory.Delete(_home, recursive: true);

    [Test]
    public async Task A_sound_journal_ends_with_0_and_a_damaged_one_with_65_and_its_position()
    {
        await WriteAsync(closed: true);
        var sound = await CommandRun.RunAsync(_home, "journal-verify", "journal");
        Assert.That((sound.Code, sound.Error), Is.EqualTo((0, "")));
        Assert.That(sound.Out, Does.Contain("Records:     51").And.Contain("closed in order"));

        var segment = Directory.GetFiles(Path.Combine(_home, "journal"), "journal-*.seg").Single();
        var bytes = await File.ReadAllBytesAsync(segment);
        bytes[4096 + 200] ^= 1;
        await File.WriteAllBytesAsync(segment, bytes);
        var damaged = await CommandRun.RunAsync(_home, "journal", "verify", "journal", "-o", "json");
        Assert.That(damaged.Code, Is.EqualTo(65));
        Assert.That(damaged.Error, Does.Contain("damaged at position 156: corrupt-record").And.Contain("try:"));
        using var json = JsonDocument.Parse(damaged.Out);
        Assert.That(json.RootElement.GetProperty("sound").GetBoolean(), Is.False);
        Assert.That(json.RootElement.GetProperty("faults")[0].GetProperty("position").GetInt64(), Is.EqualTo(156));
    }

    [Test]
    public async Task It_works_beside_a_broker_that_has_the_directory_locked()
    {
        await using var opened = await WriteAsync(closed: false);
        var run = await CommandRun.RunAsync(_home, "journal-verify", "journal");
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        Assert.That(opened!.Journal.Failure, Is.Null);
    }

    [Test]
    public async Task Records_are_printed_in_order_and_by_range()
    {
        await WriteAsync(closed: true);
        var text = await CommandRun.RunAsync(_home, "journal-print", "journal");
        var lines = text.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines[0], Does.StartWith("# journal-00000000000000000000.seg: from 0"));
        Assert.That(lines[1], Does.Match("^0 +40 +Epoch +epoch 3, master [0-9a-f]{32}$"));
        Assert.That(lines, Has.Length.EqualTo(52));

        var range = await CommandRun.RunAsync(_home, "journal-print", "journal", "--from", "156", "--to", "388", "-o", "json");
        using var json = JsonDocument.Parse(range.Out);
        Assert.That(json.RootElement.EnumerateArray().Select(record => record.GetProperty("position").GetInt64()), Is.EqualTo(new long[] { 156, 272 }));
    }

    [TestCase("nowhere", 65, "holds no journal")]
    [TestCase(".", 65, "holds no journal")]
    public async Task A_directory_without_a_journal_is_refused_in_one_line(string directory, int code, string message)
    {
        var run = await CommandRun.RunAsync(_home, "journal-verify", directory);
        Assert.That(run.Code, Is.EqualTo(code));
        Assert.That(run.Error, Does.Contain(message).And.StartWith("error: "));
        Assert.That(run.Out, Is.Empty);
    }

    [Test]
    public async Task A_range_that_is_none_is_a_wrong_command_line()
    {
        var run = await CommandRun.RunAsync(_home, "journal-print", "journal", "--from", "10", "--to", "5");
        Assert.That((run.Code, run.Out), Is.EqualTo((64, "")));
    }

    private async Task<Opened?> WriteAsync(bool closed)
    {
        var opened = await Opened.OpenAsync(Path.Combine(_home, "journal"));
        opened.Journal.BecomeMaster(EpochRecord.RecordKind, new EpochRecord(new Epoch(3), new ReplicaId(Guid.NewGuid())).Encode());
        await opened.AppendAppliedAsync(0, 50);
        if (!closed)
        {
            return opened;
        }

        await opened.DisposeAsync();
        return null;
    }
}
