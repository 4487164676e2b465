using Fabric.Server.Node;

namespace Fabric.Tests.Server;

/// <summary>When a disk that cannot be read has lost what it held.</summary>
[TestFixture]
internal sealed class RepeatedTroubleTests
{
    private readonly ManualTime _time = new();

    [Test]
    public void Trouble_passes_for_some_minutes_and_the_same_lasts_when_it_comes_back_later()
    {
        var trouble = new RepeatedTrouble(_time);
        Assert.That(trouble.IsLasting("a"), Is.False);
        _time.Advance(TimeSpan.FromMinutes(4));
        Assert.That(trouble.IsLasting("a"), Is.False, "the way to the disk may be cut");
        _time.Advance(TimeSpan.FromMinutes(4));
        Assert.That(trouble.IsLasting("b"), Is.False, "another place");
        Assert.That(trouble.IsLasting("a"), Is.True);
    }

    [Test]
    public void Trouble_of_long_ago_is_forgotten()
    {
        var trouble = new RepeatedTrouble(_time);
        Assert.That(trouble.IsLasting("a"), Is.False);
        _time.Advance(TimeSpan.FromHours(25));
        Assert.That(trouble.IsLasting("a"), Is.False);
        _time.Advance(TimeSpan.FromHours(23));
        Assert.That(trouble.IsLasting("a"), Is.True, "when it led again");
    }
}
