using System.Runtime.CompilerServices;

namespace Fabric.Simulation.Kernel;

/// <summary>
/// What happened in a world: always as one number, which two runs of a seed must agree on, and as text when somebody wants to read it.
/// </summary>
internal sealed class Trace(TextWriter? text)
{
    private const ulong Prime = 0x100000001B3;

    /// <summary>Of everything noted so far, in order.</summary>
    public ulong Hash { get; private set; } = 0xCBF29CE484222325;

    /// <summary>Whether text is wanted.</summary>
    public bool IsOn => text is not null;

    public void Note(long what)
    {
        Hash = (Hash ^ (ulong)what) * Prime;
        Hash ^= Hash >> 29;
    }

    public void Note(ReadOnlySpan<byte> bytes)
    {
        var crc = (uint)bytes.Length;
        foreach (var value in bytes)
        {
            crc = System.Numerics.BitOperations.Crc32C(crc, value);
        }

        Note(crc);
    }

    /// <summary>Writes a line for readers; costs nothing when nobody wants it.</summary>
    public void Line(TimeSpan now, string who, [InterpolatedStringHandlerArgument("")] ref TraceText line)
    {
        if (text is not null)
        {
            text.Write($"{now.TotalSeconds,12:F6} {who,-9} ");
            text.WriteLine(line.ToStringAndClear());
        }
    }

    public void Flush() => text?.Flush();
}

/// <summary>Formats a line of a trace only when it is wanted.</summary>
[InterpolatedStringHandler]
internal ref struct TraceText
{
    private DefaultInterpolatedStringHandler _text;
    private readonly bool _isOn;

    public TraceText(int literals, int holes, Trace trace, out bool isOn)
    {
        _isOn = isOn = trace.IsOn;
        _text = isOn ? new DefaultInterpolatedStringHandler(literals, holes, System.Globalization.CultureInfo.InvariantCulture) : default;
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string format) => _text.AppendFormatted(value, format);

    public string ToStringAndClear() => _isOn ? _text.ToStringAndClear() : "";
}
