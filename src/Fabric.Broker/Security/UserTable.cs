using System.Security.Cryptography;
using System.Text;

namespace Fabric.Broker.Security;

/// <summary>
/// Users and their passwords, plain or in the registry's form <c>{CRYPT}md5 hex{CRYPT}</c>. A line of the registry's user
/// file is <c>name=password,role,role</c>. Immutable; whoever follows the registry swaps whole tables.
/// </summary>
public sealed class UserTable : IAuthenticator
{
    private const string Mark = "{CRYPT}";

    private readonly Dictionary<string, byte[]> _digests = new(StringComparer.Ordinal);

    private UserTable()
    {
    }

    /// <summary>Nobody.</summary>
    public static UserTable Empty { get; } = new();

    /// <summary>Reads lines <c>name=password[,role…]</c>; blank ones and those that begin with <c>#</c> are left out.</summary>
    /// <exception cref="FormatException">A line has another form. The message names the line's number, not its content.</exception>
    public static UserTable Parse(string lines)
    {
        var table = new UserTable();
        var number = 0;
        foreach (var raw in lines.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new FormatException($"line {number} of the users is not name=password,role");
            }

            var value = line[(equals + 1)..];
            var comma = value.IndexOf(',', StringComparison.Ordinal);
            table.Add(line[..equals].Trim(), comma < 0 ? value : value[..comma], number);
        }

        return table;
    }

    /// <summary>A table of one user.</summary>
    public static UserTable Single(string user, string password)
    {
        var table = new UserTable();
        table._digests[user] = Digest(Md5Hex(password));
        return table;
    }

    /// <inheritdoc/>
    public bool Authenticate(string? user, string? password)
    {
        // An unknown user costs the same as a known one, and the comparison's time does not tell how much was right.
        var known = _digests.TryGetValue(user ?? "", out var expected);
        var given = Digest(Md5Hex(password ?? ""));
        return CryptographicOperations.FixedTimeEquals(given, expected ?? new byte[given.Length]) & known & password is not null;
    }

    private void Add(string user, string password, int line)
    {
        if (!password.StartsWith(Mark, StringComparison.Ordinal))
        {
            _digests[user] = Digest(Md5Hex(password));
            return;
        }

        var hex = password[Mark.Length..];
        hex = hex.EndsWith(Mark, StringComparison.Ordinal) ? hex[..^Mark.Length] : hex;
        if (hex.Length != 32 || !hex.All(char.IsAsciiHexDigit))
        {
            throw new FormatException($"line {line} of the users has an encrypted password that is no MD5");
        }

        _digests[user] = Digest(hex.ToLowerInvariant());
    }

#pragma warning disable CA5351 // MD5 is what the registry of the ancestors holds; see the form above.
    private static string Md5Hex(string password) => Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(password)));
#pragma warning restore CA5351

    /// <summary>Both forms are kept as one: all entries have the same length, and a memory dump shows no password.</summary>
    private static byte[] Digest(string md5Hex) => SHA256.HashData(Encoding.ASCII.GetBytes(md5Hex));
}
