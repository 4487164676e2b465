using System.Buffers.Binary;
using System.Collections;
using System.Globalization;
using Fabric.Client;

namespace Fabric.Cli.Bench;

/// <summary>What is to be measured.</summary>
internal sealed record BenchPlan
{
    /// <summary>Room for the producer's number and the message's.</summary>
    public const int BodyBytesMin = 12;

    public required Destination Destination { get; init; }

    public required int Producers { get; init; }

    public required int Consumers { get; init; }

    public required int BodyBytes { get; init; }

    public required TimeSpan WarmUp { get; init; }

    public required TimeSpan Duration { get; init; }

    /// <summary>Unconfirmed sends of one producer.</summary>
    public required int InFlight { get; init; }

    /// <summary>Messages a second of all producers; 0 for as fast as it goes.</summary>
    public required int Rate { get; init; }

    public required bool Persistent { get; init; }
}

/// <summary>
/// Producers and consumers on one queue. With a rate, latency counts from when a message should have been sent, so that a stall is
/// not hidden by the sends it holds up; without one it counts from the send. Every message carries its producer and number, and what
/// was confirmed is compared with what came.
/// </summary>
internal sealed class QueueBench(TimeProvider time, BenchPlan plan, Func<Task<FabricClient>> connect, TextWriter progress)
{
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(30);

    private readonly long _origin = time.GetTimestamp();
    private readonly List<ProducerRecord> _producers = [];
    private readonly List<ConsumerRecord> _consumers = [];
    private long _received;

    private TimeSpan Now => time.GetElapsedTime(_origin);

    public async Task<BenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var clients = new List<FabricClient>();
        using var receiving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var consuming = new List<Task>();
            for (var i = 0; i < plan.Consumers; i++)
            {
                var record = new ConsumerRecord();
                _consumers.Add(record);
                clients.Add(await connect().ConfigureAwait(false));
                var consumer = clients[^1].CreateConsumer<ReadOnlyMemory<byte>>(plan.Destination);
                await consumer.OpenAsync(cancellationToken).ConfigureAwait(false);
                consuming.Add(Task.Run(() => ConsumeAsync(consumer, record, receiving.Token), CancellationToken.None));
            }

            var producing = new List<Task>();
            for (var i = 0; i < plan.Producers; i++)
            {
                var record = new ProducerRecord(i);
                _producers.Add(record);
                clients.Add(await connect().ConfigureAwait(false));
                await clients[^1].ConnectAsync(cancellationToken).ConfigureAwait(false);
            }

            var start = Now;
            for (var i = 0; i < plan.Producers; i++)
            {
                var (client, record) = (clients[plan.Consumers + i], _producers[i]);
                producing.Add(Task.Run(() => ProduceAsync(client, record, start, cancellationToken), CancellationToken.None));
            }

            var measured = await MeasureAsync(start, cancellationToken).ConfigureAwait(false);
            await Task.WhenAll(producing).ConfigureAwait(false);
            if (plan.Consumers > 0)
            {
                await DrainAsync(cancellationToken).ConfigureAwait(false);
            }

            await receiving.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(consuming).ConfigureAwait(false);
            return Report(start + plan.WarmUp, measured);
        }
        finally
        {
            await receiving.CancelAsync().ConfigureAwait(false);
            foreach (var client in clients)
            {
                await client.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Counts what was received within the measured time, and shows how it goes.</summary>
    private async Task<long> MeasureAsync(TimeSpan start, CancellationToken cancellationToken)
    {
        await Task.Delay(plan.WarmUp, time, cancellationToken).ConfigureAwait(false);
        var before = Interlocked.Read(ref _received);
        var end = start + plan.WarmUp + plan.Duration;
        var last = before;
        while (Now < end)
        {
            var step = TimeSpan.FromSeconds(Math.Min(5, Math.Max(0.01, (end - Now).TotalSeconds)));
            await Task.Delay(step, time, cancellationToken).ConfigureAwait(false);
            var received = Interlocked.Read(ref _received);
            progress.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{(Now - start).TotalSeconds:0} s: {_producers.Sum(producer => producer.ConfirmedCount)} confirmed, {received} received, {(received - last) / step.TotalSeconds:0}/s"));
            last = received;
        }

        return Interlocked.Read(ref _received) - before;
    }

    private async Task ProduceAsync(FabricClient client, ProducerRecord record, TimeSpan start, CancellationToken cancellationToken)
    {
        await using var producer = client.CreateProducer(plan.Destination);
        var options = new MessageOptions { Persistent = plan.Persistent };
        var end = start + plan.WarmUp + plan.Duration;
        var interval = plan.Rate > 0 ? TimeSpan.FromSeconds((double)plan.Producers / plan.Rate) : TimeSpan.Zero;
        using var window = new SemaphoreSlim(plan.InFlight);
        for (var number = 0L; Now < end; number++)
        {
            var intended = Now;
            if (interval > TimeSpan.Zero)
            {
                intended = start + (interval * number);
                if (intended > Now)
                {
                    await Task.Delay(intended - Now, time, cancellationToken).ConfigureAwait(false);
                }
            }

            await window.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (interval == TimeSpan.Zero)
            {
                intended = Now;
            }

            var body = new byte[plan.BodyBytes];
            BinaryPrimitives.WriteInt32LittleEndian(body, record.Number);
            BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(sizeof(int)), number);
            var confirmed = ConfirmAsync(producer.SendAsync(body, options, cancellationToken), record, intended, window);
            if (plan.InFlight == 1)
            {
                await confirmed.ConfigureAwait(false);
            }
        }

        for (var i = 0; i < plan.InFlight; i++)
        {
            await window.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        record.ThrowIfFailed();
    }

    private async Task ConfirmAsync(ValueTask<SendReceipt> send, ProducerRecord record, TimeSpan intended, SemaphoreSlim window)
    {
        try
        {
            await send.ConfigureAwait(false);
            record.Confirm(intended, Now);
        }
        catch (Exception exception)
        {
            record.Fail(exception);
        }
        finally
        {
            window.Release();
        }
    }

    private async Task ConsumeAsync(FabricConsumer<ReadOnlyMemory<byte>> consumer, ConsumerRecord record, CancellationToken cancellationToken)
    {
        await using (consumer)
        {
            try
            {
                while (true)
                {
                    var delivery = await consumer.ReceiveAsync(cancellationToken).ConfigureAwait(false);
                    var body = delivery.Body.Span;
                    record.Add(
                        BinaryPrimitives.ReadInt32LittleEndian(body), BinaryPrimitives.ReadInt64LittleEndian(body[sizeof(int)..]), delivery.DeliveryCount > 1);
                    await delivery.AcceptAsync(CancellationToken.None).ConfigureAwait(false);
                    Interlocked.Increment(ref _received);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // The measurement is over.
            }
        }
    }

    /// <summary>Waits until everything that was confirmed has come, or nothing comes any more.</summary>
    private async Task DrainAsync(CancellationToken cancellationToken)
    {
        var confirmed = _producers.Sum(producer => producer.ConfirmedCount);
        var (last, since) = (-1L, Now);
        while (Interlocked.Read(ref _received) is var received && received < confirmed && Now - since < DrainLimit)
        {
            if (received != last)
            {
                (last, since) = (received, Now);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private BenchReport Report(TimeSpan from, long measuredReceived)
    {
        var seen = _producers.Select(producer => new BitArray((int)producer.ConfirmedCount)).ToArray();
        long duplicated = 0, flagged = 0;
        foreach (var (producer, number, redelivered) in _consumers.SelectMany(consumer => consumer.Received))
        {
            if (producer < seen.Length && number < seen[producer].Length)
            {
                duplicated += seen[producer][(int)number] && !redelivered ? 1 : 0;
                flagged += redelivered ? 1 : 0;
                seen[producer][(int)number] = true;
            }
        }

        var lost = plan.Consumers == 0 ? 0 : seen.Sum(bits => bits.Cast<bool>().Count(bit => !bit));
        var latencies = _producers.SelectMany(producer => producer.LatenciesFrom(from)).Order().ToArray();
        return new BenchReport(plan, latencies, _producers.Sum(producer => producer.ConfirmedCount), measuredReceived, lost, duplicated, flagged);
    }
}
