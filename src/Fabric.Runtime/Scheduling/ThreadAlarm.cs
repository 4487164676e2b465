using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Fabric.Runtime.Scheduling;

/// <summary>
/// What one thread sleeps on and others wake it by: one ring, one awakening. On Linux an <c>eventfd</c>, because the waits of the
/// runtime hold a mutex while they signal, and the woken thread then sleeps on that one: three switches of the processor for one wake-up.
/// </summary>
internal abstract partial class ThreadAlarm : IDisposable
{
    public static ThreadAlarm Create() =>
        OperatingSystem.IsLinux() && EventFile.TryCreate() is { } file ? file : new RuntimeAlarm();

    /// <summary>Wakes the thread; at its next <see cref="Wait"/> when it does not sleep yet.</summary>
    public abstract void Ring();

    /// <summary>Sleeps until the next <see cref="Ring"/>.</summary>
    public abstract void Wait();

    public abstract void Dispose();

    private sealed class RuntimeAlarm : ThreadAlarm
    {
        private readonly AutoResetEvent _rung = new(false);

        public override void Ring() => _rung.Set();

        public override void Wait() => _rung.WaitOne();

        public override void Dispose() => _rung.Dispose();
    }

    private sealed partial class EventFile : ThreadAlarm
    {
        private const int CloseOnExec = 0x80000;
        private const int Interrupted = 4;

        private readonly SafeFileHandle _handle;
        private readonly int _descriptor; // valid as long as the handle: see LoopContext.TakeSleep

        private EventFile(int descriptor) => (_descriptor, _handle) = (descriptor, new SafeFileHandle(descriptor, ownsHandle: true));

        /// <returns>Null when the process has no descriptor left for it.</returns>
        public static EventFile? TryCreate() => Create(0, CloseOnExec) is >= 0 and var descriptor ? new EventFile(descriptor) : null;

        public override void Ring()
        {
            var one = 1UL;
            while (Write(_descriptor, ref one, sizeof(ulong)) < 0)
            {
                ThrowUnlessInterrupted();
            }
        }

        public override void Wait()
        {
            var count = 0UL;
            while (Read(_descriptor, ref count, sizeof(ulong)) < 0)
            {
                ThrowUnlessInterrupted();
            }
        }

        public override void Dispose() => _handle.Dispose();

        private static void ThrowUnlessInterrupted()
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Interrupted)
            {
                throw new IOException($"a thread cannot be woken: error {error}");
            }
        }

        [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
        private static partial int Create(uint value, int flags);

        [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
        private static partial nint Read(int descriptor, ref ulong value, nint count);

        [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
        private static partial nint Write(int descriptor, ref ulong value, nint count);
    }
}
