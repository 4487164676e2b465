using System.Globalization;
using System.Text;

namespace Fabric.Registry.Profiles;

/// <summary>
/// A Java properties file: keys and values in the order of the file. Comments are dropped, a later key wins. Not thread-safe.
/// </summary>
/// <remarks>Format: <c>java.util.Properties.load</c> and <c>store</c>.</remarks>
public sealed class PropertiesFile
{
    private readonly OrderedDictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <summary>An empty file.</summary>
    public PropertiesFile()
    {
    }

    /// <summary>A file with these properties.</summary>
    public PropertiesFile(IEnumerable<KeyValuePair<string, string>> properties)
    {
        foreach (var (key, value) in properties)
        {
            _values[key] = value;
        }
    }

    /// <summary>Keys in the order of the file.</summary>
    public IReadOnlyList<string> Keys => [.. _values.Keys];

    /// <summary>Keys and values in the order of the file.</summary>
    public IEnumerable<KeyValuePair<string, string>> Properties => _values;

    /// <summary>A value; null when there is none. A new key goes to the end; null removes.</summary>
    public string? this[string key]
    {
        get => _values.TryGetValue(key, out var value) ? value : null;
        set
        {
            if (value is null)
            {
                _values.Remove(key);
            }
            else
            {
                _values[key] = value;
            }
        }
    }

    /// <summary>Reads a file. Every text is one: what has no separator is a key with an empty value.</summary>
    public static PropertiesFile Parse(string text)
    {
        var file = new PropertiesFile();
        foreach (var line in LogicalLines(text))
        {
            var end = KeyEnd(line);
            var start = end;
            while (start < line.Length && IsBlank(line[start]))
            {
                start++;
            }

            if (start < line.Length && line[start] is '=' or ':')
            {
                start++;
                while (start < line.Length && IsBlank(line[start]))
                {
                    start++;
                }
            }

            file._values[Unescape(line[..end])] = Unescape(line[start..]);
        }

        return file;
    }

    /// <summary>The file's text: a comment, then a line per property.</summary>
    /// <param name="comment">The first line without its <c>#</c>; Java writes the date there. Null for none.</param>
    public string Format(string? comment)
    {
        var text = new StringBuilder();
        if (comment is not null)
        {
            text.Append('#').Append(comment).Append('\n');
        }

        foreach (var (key, value) in _values)
        {
            Escape(text, key, isKey: true);
            text.Append('=');
            Escape(text, value, isKey: false);
            text.Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A date as Java writes it into the comment: <c>Tue Nov 25 17:00:00 UTC 2026</c>.</summary>
    public static string DateComment(DateTimeOffset time) =>
        time.UtcDateTime.ToString("ddd MMM dd HH:mm:ss 'UTC' yyyy", CultureInfo.InvariantCulture);

    private static IEnumerable<string> LogicalLines(string text)
    {
        StringBuilder? logical = null;
        foreach (var natural in text.ReplaceLineEndings("\n").Split('\n'))
        {
            var line = natural.TrimStart(' ', '\t', '\f');
            if (logical is null && (line.Length == 0 || line[0] is '#' or '!'))
            {
                continue;
            }

            logical ??= new StringBuilder();
            if (EndsInContinuation(line))
            {
                logical.Append(line, 0, line.Length - 1);
                continue;
            }

            yield return logical.Append(line).ToString();
            logical = null;
        }

        if (logical is { Length: > 0 })
        {
            yield return logical.ToString();
        }
    }

    private static bool EndsInContinuation(string line)
    {
        var backslashes = 0;
        while (backslashes < line.Length && line[line.Length - 1 - backslashes] == '\\')
        {
            backslashes++;
        }

        return backslashes % 2 == 1;
    }

    private static int KeyEnd(string line)
    {
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == '\\')
            {
                i++;
            }
            else if (line[i] is '=' or ':' || IsBlank(line[i]))
            {
                return i;
            }
        }

        return line.Length;
    }

    private static bool IsBlank(char character) => character is ' ' or '\t' or '\f';

    private static string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal))
        {
            return text;
        }

        var plain = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\' || i + 1 == text.Length)
            {
                plain.Append(text[i]);
                continue;
            }

            i++;
            if (text[i] == 'u' && i + 4 < text.Length
                && ushort.TryParse(text.AsSpan(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            {
                plain.Append((char)code);
                i += 4;
            }
            else
            {
                plain.Append(text[i] switch { 't' => '\t', 'n' => '\n', 'r' => '\r', 'f' => '\f', var other => other });
            }
        }

        return plain.ToString();
    }

    private static void Escape(StringBuilder text, string plain, bool isKey)
    {
        for (var i = 0; i < plain.Length; i++)
        {
            var character = plain[i];
            switch (character)
            {
                case ' ' when isKey || i == 0:
                    text.Append("\\ ");
                    break;
                case '\t':
                    text.Append("\\t");
                    break;
                case '\n':
                    text.Append("\\n");
                    break;
                case '\r':
                    text.Append("\\r");
                    break;
                case '\f':
                    text.Append("\\f");
                    break;
                case '\\' or '=' or ':' or '#' or '!':
                    text.Append('\\').Append(character);
                    break;
                case < ' ' or > '~':
                    text.Append("\\u").Append(((int)character).ToString("X4", CultureInfo.InvariantCulture));
                    break;
                default:
                    text.Append(character);
                    break;
            }
        }
    }
}
