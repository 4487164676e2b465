namespace Fabric.Broker.Live;

/// <summary>What is held in memory only, and publishers that wait until there is less of it.</summary>
internal sealed partial class LiveBroker
{
    private readonly List<TaskCompletionSource> _roomWaiters = [];
    private long _memoryBytes;

    /// <summary>Whether something is left for who makes room by taking some first.</summary>
    public bool HasReserve => _memoryBytes < 2 * Options.MemoryBytesMax && !Journal.Space.IsExhausted;

    /// <summary>May be read without the lock; then it is a moment old.</summary>
    public bool MemoryIsFull => Volatile.Read(ref _memoryBytes) >= Options.MemoryBytesMax;

    public async ValueTask WaitForRoomAsync(ValueTask journal, CancellationToken cancellationToken)
    {
        try
        {
            await journal;
            while (TryEnqueueRoomWaiter(out var waiter))
            {
                await waiter.Task.WaitAsync(cancellationToken);
            }

            await Journal.WaitForRoomAsync(cancellationToken);
        }
        catch (Exception exception) when (BrokerConnection.EndsService(exception))
        {
            // The call that follows will say so.
        }
    }

    private bool TryEnqueueRoomWaiter(out TaskCompletionSource waiter)
    {
        waiter = null!;
        lock (Gate)
        {
            if (Stopped || !MemoryIsFull)
            {
                return false;
            }

            waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _roomWaiters.Add(waiter);
            return true;
        }
    }

    private void Hold(MemoryMessage message)
    {
        if (message.Holders++ == 0)
        {
            CountMemory(message.Bytes);
        }
    }

    private void Unhold(MemoryMessage message)
    {
        if (--message.Holders == 0)
        {
            CountMemory(-message.Bytes);
        }
    }

    private void CountMemory(long bytes)
    {
        Volatile.Write(ref _memoryBytes, _memoryBytes + bytes);
        if (bytes < 0 && _roomWaiters.Count > 0 && !MemoryIsFull)
        {
            ReleaseRoomWaiters();
        }
    }

    /// <summary>All of them: each looks again, and those for whom there is no room wait again.</summary>
    private void ReleaseRoomWaiters()
    {
        foreach (var waiter in _roomWaiters)
        {
            waiter.TrySetResult();
        }

        _roomWaiters.Clear();
    }
}
