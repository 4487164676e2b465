using System.Globalization;

namespace Fabric.Grpc.Wire;

/// <summary>The value of <c>grpc-timeout</c>: at most eight digits and a unit (H, M, S, m, u or n).</summary>
internal static class TimeoutText
{
    private const long Largest = 99_999_999;

    /// <summary>The finest unit that holds the time; rounded up, so that the server never gives up before the client.</summary>
    public static string Encode(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return "0n";
        }

        ReadOnlySpan<(long Ticks, char Unit)> units =
        [
            (TimeSpan.TicksPerMicrosecond, 'u'),
            (TimeSpan.TicksPerMillisecond, 'm'),
            (TimeSpan.TicksPerSecond, 'S'),
            (TimeSpan.TicksPerMinute, 'M'),
        ];
        foreach (var (ticks, unit) in units)
        {
            var count = ((timeout.Ticks - 1) / ticks) + 1;
            if (count <= Largest)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{count}{unit}");
            }
        }

        var hours = Math.Min(((timeout.Ticks - 1) / TimeSpan.TicksPerHour) + 1, Largest);
        return string.Create(CultureInfo.InvariantCulture, $"{hours}H");
    }

    public static bool TryDecode(string text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > 9
            || !long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return false;
        }

        switch (text[^1])
        {
            case 'n':
                timeout = TimeSpan.FromTicks((count + 99) / 100);
                return true;
            case 'u':
                timeout = TimeSpan.FromTicks(count * TimeSpan.TicksPerMicrosecond);
                return true;
            case 'm':
                timeout = TimeSpan.FromTicks(count * TimeSpan.TicksPerMillisecond);
                return true;
            case 'S':
                timeout = TimeSpan.FromTicks(count * TimeSpan.TicksPerSecond);
                return true;
            case 'M':
                timeout = TimeSpan.FromTicks(count * TimeSpan.TicksPerMinute);
                return true;
            case 'H':
                timeout = TimeSpan.FromTicks(count * TimeSpan.TicksPerHour); // eight digits of hours fit
                return true;
            default:
                return false;
        }
    }
}
