using System.Buffers.Binary;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>An open journal with its state machine and the notes of its observer. It commits what is durable when told to.</summary>
internal sealed class Opened : IJournalObserver, IAsyncDisposable
{
    public const byte EpochKind = 1;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly TaskCompletionSource<Exception> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly bool _commits;
    private long _offered;
    private long _written;
    private int _announced;

    private Opened(Numbers numbers, bool commits) => (Numbers, _commits) = (numbers, commits);

    public Numbers Numbers { get; }

    public Journal Journal { get; private set; } = null!;

    public Position Offered => new(Volatile.Read(ref _offered));

    public Position Written => new(Volatile.Read(ref _written));

    /// <summary>Batches that the journal was made to announce, before its writer came to it.</summary>
    public int Announced => Volatile.Read(ref _announced);

    /// <summary>What the journal said when it failed.</summary>
    public Task<Exception> Failed => _failed.Task.WaitAsync(Limit);

    public static Task<Opened> OpenAsync(
        string directory, IDisk? disk = null, Numbers? numbers = null, bool commits = true, Func<JournalOptions, JournalOptions>? with = null)
    {
        var options = new JournalOptions { Directory = directory, SegmentBytes = 64 * 1024, CheckpointBytes = 1L << 30 };
        return OpenAsync(disk ?? FabricRuntime.System.Disk, numbers ?? new Numbers(), commits, with is null ? options : with(options));
    }

    public void BecomeMaster(byte epoch = 1)
    {
        var body = new byte[24];
        body[0] = epoch;
        Journal.BecomeMaster(EpochKind, body);
    }

    /// <summary>Appends a number, padded to the length.</summary>
    public AppendedRecord Append(int number, int bodyBytes = 100)
    {
        var body = Body(number, bodyBytes);
        return Journal.Append(Numbers.Kind, 0, body.AsSpan(0, 2), body.AsSpan(2));
    }

    /// <summary>Appends numbers and waits until all are applied.</summary>
    public async Task AppendAppliedAsync(int first, int count, int bodyBytes = 100)
    {
        for (var number = first; number < first + count; number++)
        {
            Append(number, bodyBytes);
        }

        await Journal.WaitDurableAsync(Journal.End).WaitAsync(Limit);
        await UntilAsync(() => Journal.Applied == Journal.End, "everything is applied");
    }

    /// <summary>Appends numbers from 0 in steps of a hundred, each applied before the next: memory gives up what is on disk when it takes more.</summary>
    public async Task AppendPastMemoryAsync(int count, int bodyBytes)
    {
        for (var number = 0; number < count; number += 100)
        {
            await AppendAppliedAsync(number, 100, bodyBytes);
        }
    }

    public static byte[] Body(int number, int bodyBytes)
    {
        var body = new byte[bodyBytes];
        new Random(number).NextBytes(body);
        BinaryPrimitives.WriteInt32LittleEndian(body, number);
        return body;
    }

    public static async Task UntilAsync(Func<bool> condition, string what)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.That(TimeProvider.System.GetElapsedTime(start), Is.LessThan(Limit), what);
            await Task.Delay(1);
        }
    }

    public ValueTask DisposeAsync() => Journal.DisposeAsync();

    void IJournalObserver.OnOffered(Position end, bool here)
    {
        Volatile.Write(ref _offered, end.Value);
        if (here)
        {
            Interlocked.Increment(ref _announced);
        }
    }

    void IJournalObserver.OnWritten(Position written) => Volatile.Write(ref _written, written.Value);

    void IJournalObserver.OnDurable(Position durable)
    {
        if (_commits)
        {
            Journal.AdvanceCommitted(durable);
        }
    }

    void IJournalObserver.OnApplied(Position applied)
    {
    }

    void IJournalObserver.OnFailed(Exception cause) => _failed.TrySetResult(cause);

    private static async Task<Opened> OpenAsync(IDisk disk, Numbers numbers, bool commits, JournalOptions options)
    {
        var opened = new Opened(numbers, commits);
        opened.Journal = await Journal.OpenAsync(
            FabricRuntime.System with { Disk = disk }, options, numbers, opened, CancellationToken.None);
        return opened;
    }
}
