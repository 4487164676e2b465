using System.Threading.Channels;
using Fabric.Runtime.Scheduling;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Connections;

/// <summary>
/// Tells the application about interruptions and resumptions, one after the other and off the connection's loops, so that a slow
/// handler delays no reconnection. The loop ends with the client.
/// </summary>
internal sealed partial class ConnectionNotices : IAsyncDisposable
{
    private readonly Channel<object> _events = Channel.CreateUnbounded<object>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ILogger _logger;
    private readonly Task _loop;
    private readonly Func<object, ValueTask> _raise;
    private readonly AsyncLocal<bool> _isInHandler = new();

    /// <param name="scheduler">Runs the loop.</param>
    /// <param name="raise">Calls the application's handlers.</param>
    /// <param name="logger">For what they throw.</param>
    public ConnectionNotices(IScheduler scheduler, Func<object, ValueTask> raise, ILogger logger)
    {
        _raise = raise;
        _logger = logger;
        _loop = scheduler.Start("client notices", RunAsync);
    }

    /// <summary>Adds a notice; at most two per reconnection, so the queue needs no limit of its own.</summary>
    public void Add(object notice) => _events.Writer.TryWrite(notice);

    public async ValueTask DisposeAsync()
    {
        _events.Writer.TryComplete();
        if (!_isInHandler.Value)
        {
            await _loop.ConfigureAwait(false); // a handler that closes the client would wait for itself
        }
    }

    private async Task RunAsync()
    {
        _isInHandler.Value = true;
        await foreach (var notice in _events.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                await _raise(notice).ConfigureAwait(false);
            }
            catch (Exception exception)
            {
                LogHandlerFailed(exception, notice.GetType().Name);
            }
        }
    }

    [LoggerMessage(EventId = 1030, Level = LogLevel.Error, Message = "A handler of {Notice} failed")]
    private partial void LogHandlerFailed(Exception exception, string notice);
}
