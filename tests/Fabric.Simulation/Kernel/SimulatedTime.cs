namespace Fabric.Simulation.Kernel;

/// <summary>The clocks of a host: they may run too fast or too slow, and the wall clock may be wrong and jump.</summary>
internal sealed class SimulatedTime(Process process) : TimeProvider
{
    private static readonly DateTimeOffset Beginning = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly TimeSpan _started = process.Host.World.Now;
    private double _rate = process.Host.ClockRate;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    private Host Host => process.Host;

    public override DateTimeOffset GetUtcNow() => Beginning + Host.World.Now + Host.WallOffset;

    public override long GetTimestamp() => TimeSpan.TicksPerHour + (long)((Host.World.Now - _started).Ticks * _rate);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, process, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    private TimeSpan Real(TimeSpan time) => time / _rate;

    private sealed class Timer(SimulatedTime time, Process process, Action callback) : ITimer
    {
        private Happening? _next;
        private TimeSpan _period;
        private bool _isOver;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (_isOver)
            {
                return false;
            }

            _next?.TakeBack();
            _next = null;
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan && !process.IsDead)
            {
                Schedule(dueTime);
            }

            return true;
        }

        public void Dispose()
        {
            _isOver = true;
            _next?.TakeBack();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Schedule(TimeSpan due) => _next = process.World.After(time.Real(due), process, () =>
        {
            _next = null;
            if (_period > TimeSpan.Zero)
            {
                Schedule(_period);
            }

            callback();
        });
    }
}
