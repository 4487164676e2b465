namespace Fabric.Tests.Store;

/// <summary>Calls to a disk that hang until this is released, or disposed of: before the journal, which waits for them.</summary>
internal sealed class Hold : IDisposable
{
    private readonly ManualResetEventSlim _reached = new();
    private readonly ManualResetEventSlim _released = new();

    private Hold()
    {
    }

    /// <summary>Set when the first call hangs.</summary>
    public WaitHandle Reached => _reached.WaitHandle;

    public static Hold Syncs(CrashDisk disk)
    {
        var hold = new Hold();
        disk.OnSync = _ => hold.Wait();
        return hold;
    }

    public static Hold Writes(CrashDisk disk)
    {
        var hold = new Hold();
        disk.OnWrite = _ => hold.Wait();
        return hold;
    }

    public void Release() => _released.Set();

    public void Dispose() => _released.Set();

    private void Wait()
    {
        _reached.Set();
        _released.Wait();
    }
}
