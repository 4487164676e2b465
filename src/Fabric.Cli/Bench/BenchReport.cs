using System.Globalization;
using System.Text.Json;

namespace Fabric.Cli.Bench;

/// <summary>What a measurement gave.</summary>
/// <param name="Plan">What was measured.</param>
/// <param name="Latencies">From send to confirmation within the measured time, ascending.</param>
/// <param name="Confirmed">Confirmed messages, warm-up included.</param>
/// <param name="MeasuredReceived">Messages received within the measured time.</param>
/// <param name="Lost">Confirmed messages that did not come.</param>
/// <param name="Duplicated">Messages that came again without the redelivered flag.</param>
/// <param name="Redelivered">Deliveries with that flag.</param>
internal sealed record BenchReport(
    BenchPlan Plan, IReadOnlyList<TimeSpan> Latencies, long Confirmed, long MeasuredReceived, long Lost, long Duplicated, long Redelivered)
{
    public bool IsCorrect => Lost == 0 && Duplicated == 0;

    private double SentPerSecond => Latencies.Count / Plan.Duration.TotalSeconds;

    private double ReceivedPerSecond => MeasuredReceived / Plan.Duration.TotalSeconds;

    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteNumber("schemaVersion", 1);
        writer.WriteNumber("producers", Plan.Producers);
        writer.WriteNumber("consumers", Plan.Consumers);
        writer.WriteNumber("bodyBytes", Plan.BodyBytes);
        writer.WriteNumber("inFlight", Plan.InFlight);
        writer.WriteNumber("rate", Plan.Rate);
        writer.WriteNumber("durationSeconds", Plan.Duration.TotalSeconds);
        writer.WriteNumber("confirmedPerSecond", Math.Round(SentPerSecond, 1));
        writer.WriteNumber("receivedPerSecond", Math.Round(ReceivedPerSecond, 1));
        writer.WriteStartObject("confirmLatencySeconds");
        foreach (var (name, quantile) in new[] { ("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0) })
        {
            writer.WriteNumber(name, Math.Round(Quantile(quantile).TotalSeconds, 6));
        }

        writer.WriteEndObject();
        writer.WriteNumber("confirmed", Confirmed);
        writer.WriteNumber("lost", Lost);
        writer.WriteNumber("duplicated", Duplicated);
        writer.WriteNumber("redelivered", Redelivered);
        writer.WriteEndObject();
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        confirmed/s  received/s  p50 ms    p99 ms    p99.9 ms  max ms    confirmed  lost  duplicated
        {SentPerSecond,-12:0} {ReceivedPerSecond,-11:0} {Ms(0.5),-9} {Ms(0.99),-9} {Ms(0.999),-9} {Ms(1),-9} {Confirmed,-10} {Lost,-5} {Duplicated}
        """);

    private string Ms(double quantile) => Quantile(quantile).TotalMilliseconds.ToString("0.00", CultureInfo.InvariantCulture);

    private TimeSpan Quantile(double quantile) =>
        Latencies.Count == 0 ? TimeSpan.Zero : Latencies[Math.Min(Latencies.Count - 1, (int)(quantile * Latencies.Count))];
}
