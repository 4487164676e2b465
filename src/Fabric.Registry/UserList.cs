using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Fabric.Registry;

/// <summary>A user of the fabric's brokers and consoles.</summary>
/// <param name="Name">The name; no <c>=</c>, no blanks.</param>
/// <param name="Roles">What the user may be.</param>
public sealed record FabricUser(string Name, IReadOnlyList<string> Roles);

/// <summary>
/// The users of <c>/fabric/authentication/users</c>: lines <c>user={CRYPT}MD5{CRYPT},role,…</c> as the ancestors write them. Immutable.
/// </summary>
/// <remarks>
/// The hash is the ancestors', unsalted and weak: it keeps passwords from a passing eye, and the znode's ACL does the rest.
/// </remarks>
public sealed class UserList
{
    private const string Mark = "{CRYPT}";
    private readonly IReadOnlyDictionary<string, Entry> _entries;

    private UserList(IReadOnlyDictionary<string, Entry> entries) => _entries = entries;

    public static UserList Empty { get; } = new(new Dictionary<string, Entry>());

    /// <summary>The users by name.</summary>
    public IReadOnlyList<FabricUser> Users => [.. _entries
        .OrderBy(entry => entry.Key, StringComparer.Ordinal)
        .Select(entry => new FabricUser(entry.Key, entry.Value.Roles))];

    /// <summary>Reads the znode's text. Lines that are none are skipped; a password may stand in the clear.</summary>
    public static UserList Parse(string? text)
    {
        var entries = new Dictionary<string, Entry>(StringComparer.Ordinal);
        foreach (var line in (text ?? "").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || line[0] is '#' or '!')
            {
                continue;
            }

            var fields = line[(equals + 1)..].Split(',', StringSplitOptions.TrimEntries);
            entries[line[..equals].Trim()] = new Entry(fields[0], [.. fields[1..].Where(role => role.Length > 0)]);
        }

        return new UserList(entries);
    }

    /// <summary>The znode's text.</summary>
    public string Format() => string.Concat(_entries
        .OrderBy(entry => entry.Key, StringComparer.Ordinal)
        .Select(entry => $"{string.Join(',', entry.Value.Roles.Prepend($"{entry.Key}={entry.Value.Secret}"))}\n"));

    /// <summary>The list with a user added or changed.</summary>
    /// <exception cref="ArgumentException">The name cannot stand in the list.</exception>
    public UserList With(string name, string password, params IEnumerable<string> roles)
    {
        if (name.Length == 0 || name.Any(character => character is '=' or ',' or '#' or '!' || char.IsWhiteSpace(character)))
        {
            throw new ArgumentException("a user's name has no blanks and none of = , # !", nameof(name));
        }

        return new UserList(new Dictionary<string, Entry>(_entries, StringComparer.Ordinal)
        {
            [name] = new Entry($"{Mark}{Hash(password)}{Mark}", [.. roles]),
        });
    }

    /// <summary>Looks whether name and password belong together. Takes as long for a wrong name as for a wrong password.</summary>
    /// <returns>The user; null when they do not.</returns>
    public FabricUser? Verify(string? name, string? password)
    {
        var entry = _entries.GetValueOrDefault(name ?? "");
        var secret = entry?.Secret ?? "";
        var isHashed = secret.StartsWith(Mark, StringComparison.Ordinal);
        var expected = isHashed ? secret.Replace(Mark, "", StringComparison.Ordinal) : Hash(secret);
        var isRight = CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(expected), Encoding.ASCII.GetBytes(Hash(password ?? "")));
        return isRight && entry is not null && secret.Length > 0 ? new FabricUser(name!, entry.Roles) : null;
    }

    /// <summary>What the registry holds now.</summary>
    public static async Task<UserList> ReadAsync(FabricRegistry registry, CancellationToken cancellationToken = default) =>
        Parse(await registry.TryGetTextAsync(ZnodePaths.Users, cancellationToken));

    /// <summary>Replaces what the registry holds.</summary>
    public Task WriteAsync(FabricRegistry registry, CancellationToken cancellationToken = default) =>
        registry.PutAsync(ZnodePaths.Users, Format(), cancellationToken);

    /// <summary>Tells the users, at once and whenever they change; quick, never called concurrently.</summary>
    public static IAsyncDisposable Watch(FabricRegistry registry, Action<UserList> changed) => new RegistryWatch<Text>(
        registry, "users", async (reader, ct) => new Text(await reader.GetTextAsync(ZnodePaths.Users, ct)), text => changed(Parse(text.Value)));

    [SuppressMessage("Security", "CA5351", Justification = "MD5 is what the ancestors' format is defined by.")]
    private static string Hash(string password) => Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(password)));

    private sealed record Entry(string Secret, IReadOnlyList<string> Roles);

    private sealed record Text(string? Value);
}
