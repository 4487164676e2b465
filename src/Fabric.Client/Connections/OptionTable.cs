using System.Collections;
using System.Globalization;

namespace Fabric.Client.Connections;

/// <summary>
/// The options that a part of a URL may have: a name, and what its value sets. Names are case-insensitive. An unknown name is an
/// error that names the nearest known one, as a typing error that is ignored is found only when it hurts.
/// </summary>
/// <typeparam name="TTarget">What the options are set on.</typeparam>
internal sealed class OptionTable<TTarget> : IEnumerable<string>
{
    private readonly Dictionary<string, Action<TTarget, OptionValue>?> _setters = new(StringComparer.OrdinalIgnoreCase);

    public void Add(string name, Action<TTarget, OptionValue> set) => _setters.Add(name, set);

    /// <summary>Options of the Java client that are legal and mean nothing here.</summary>
    public void Add(params string[] namesWithoutEffect)
    {
        foreach (var name in namesWithoutEffect)
        {
            _setters.Add(name, null);
        }
    }

    /// <summary>Sets an option, if there is one of this name.</summary>
    /// <exception cref="UriFormatException">The value is none that the option can have.</exception>
    public bool TrySet(TTarget target, string name, string value)
    {
        if (!_setters.TryGetValue(name, out var set))
        {
            return false;
        }

        set?.Invoke(target, new OptionValue(name, value));
        return true;
    }

    public IEnumerator<string> GetEnumerator() => _setters.Keys.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>An option's text, read as what the option needs.</summary>
internal readonly record struct OptionValue(string Name, string Text)
{
    /// <exception cref="UriFormatException">It is neither true nor false.</exception>
    public bool ToBoolean() => bool.TryParse(Text, out var value) ? value : throw Bad("true or false");

    /// <exception cref="UriFormatException">It is no number within the range.</exception>
    public int ToInt32(int minimum = int.MinValue, int maximum = int.MaxValue) =>
        int.TryParse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
        && value >= minimum && value <= maximum
            ? value
            : throw Bad(minimum == int.MinValue ? "a whole number" : maximum == int.MaxValue
                ? $"a whole number of at least {minimum}" : $"a whole number from {minimum} to {maximum}");

    /// <exception cref="UriFormatException">It is no number.</exception>
    public long ToInt64() => long.TryParse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
        ? value : throw Bad("a whole number");

    /// <exception cref="UriFormatException">It is no number.</exception>
    public double ToDouble() => double.TryParse(Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
        && double.IsFinite(value) ? value : throw Bad("a number");

    /// <exception cref="UriFormatException">It is no number of milliseconds.</exception>
    public TimeSpan ToMilliseconds(int minimum = 0) => TimeSpan.FromMilliseconds(ToInt32(minimum));

    private UriFormatException Bad(string expected) => new($"option '{Name}' must be {expected}, not '{Text}'");
}
