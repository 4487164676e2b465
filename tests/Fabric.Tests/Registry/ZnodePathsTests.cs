using Fabric.Registry;

namespace Fabric.Tests.Registry;

internal sealed class ZnodePathsTests
{
    [TestCase("00000000000", 0)]
    [TestCase("00000000012", 12)]
    [TestCase("02147483648", 2147483648)]
    public void A_member_is_named_by_its_sequence(string name, long sequence)
    {
        Assert.That(ZnodePaths.TryParseSequence(name, out var read), Is.True);
        Assert.That(read, Is.EqualTo(sequence));
    }

    [TestCase("")]
    [TestCase("0")]
    [TestCase("10000000000")]
    [TestCase("_c_x-00000000000")]
    [TestCase("0-2147483648")]
    [TestCase("stats")]
    public void Other_names_are_no_members(string name) => Assert.That(ZnodePaths.TryParseSequence(name, out _), Is.False);

    [TestCase("broker1", true)]
    [TestCase("a.b_c-D9", true)]
    [TestCase("9", true)]
    [TestCase("", false)]
    [TestCase(null, false)]
    [TestCase("-a", false)]
    [TestCase(".a", false)]
    [TestCase("a/b", false)]
    [TestCase("a b", false)]
    [TestCase("\u00e4", false)]
    public void Names_are_made_of_letters_digits_and_few_signs(string? name, bool isValid) =>
        Assert.That(ZnodePaths.IsValidName(name), Is.EqualTo(isValid));

    [Test]
    public void A_name_has_64_characters_at_most()
    {
        Assert.That(ZnodePaths.IsValidName(new string('a', 64)), Is.True);
        Assert.That(ZnodePaths.IsValidName(new string('a', 65)), Is.False);
    }

    [TestCase("/a/b", "/a", "b")]
    [TestCase("/a", null, "a")]
    public void Paths_are_taken_apart(string path, string? parent, string name) =>
        Assert.That((ZnodePaths.ParentOf(path), ZnodePaths.NameOf(path)), Is.EqualTo((parent, name)));

    [Test]
    public void Profiles_of_an_ensemble_are_outside_of_the_versions() =>
        Assert.That(ZnodePaths.Profile("1.0", "fabric-ensemble-0000-1"), Is.EqualTo("/fabric/configs/ensemble/profiles/fabric-ensemble-0000-1"));
}
