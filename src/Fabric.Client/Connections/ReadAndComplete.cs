using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Fabric.Client.Connections;

/// <summary>
/// Awaits a read and, when it has to wait, completes a command on the thread that would otherwise be given back: who waits for one answer before
/// the next send goes on a switch of threads sooner. The read is under way by then and goes on elsewhere, so the application may block there as long as it likes.
/// </summary>
/// <remarks>
/// In a process with DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS that thread is the one that all sockets share, on which nothing may block; that is what
/// the setting means.
/// </remarks>
/// <param name="read">What is awaited.</param>
/// <param name="answered">What is completed, once; null for nothing.</param>
internal readonly struct ReadAndComplete(ValueTask<ReadResult> read, PendingCommand? answered) : ICriticalNotifyCompletion
{
    private readonly ConfiguredValueTaskAwaitable<ReadResult>.ConfiguredValueTaskAwaiter _read = read.ConfigureAwait(false).GetAwaiter();

    public bool IsCompleted
    {
        get
        {
            if (!_read.IsCompleted)
            {
                return false;
            }

            answered?.Complete(); // there is more to read at once
            return true;
        }
    }

    public ReadAndComplete GetAwaiter() => this;

    public ReadResult GetResult() => _read.GetResult();

    public void OnCompleted(Action continuation) => throw new NotSupportedException();

    public void UnsafeOnCompleted(Action continuation)
    {
        _read.UnsafeOnCompleted(continuation);
        answered?.Complete(inline: true);
    }
}
