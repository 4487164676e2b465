using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>A request from the call to the answer. It ends once: by its answer, by the loss of the connection, or by its caller.</summary>
internal abstract class PendingRequest(OpCode type, IJuteRecord? body, string? path)
{
    public OpCode Type => type;

    public IJuteRecord? Body => body;

    /// <summary>The path as the caller wrote it.</summary>
    public string? Path => path;

    /// <summary>Number on the present connection; set when it is sent.</summary>
    public int Xid { get; set; }

    /// <summary>Whether its caller has given up: it need not be sent any more.</summary>
    public abstract bool IsOver { get; }

    /// <summary>Takes in the answer. Runs on the connection's reader, before anything that the server sent later.</summary>
    /// <exception cref="JuteException">The answer is not what belongs to the request.</exception>
    public abstract void Answer(ZooKeeperError error, ref JuteReader reader);

    public abstract void Fail(ZooKeeperError error, Exception? cause = null);
}

/// <summary>A request with its result.</summary>
/// <typeparam name="T">Of the result.</typeparam>
internal sealed class PendingRequest<T>(OpCode type, IJuteRecord? body, string? path, PendingRequest<T>.Reader read) : PendingRequest(type, body, path)
{
    private readonly TaskCompletionSource<T> _source = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Makes the result of an answer; throws <see cref="ZooKeeperException"/> when the error is the result.</summary>
    public delegate T Reader(ZooKeeperError error, ref JuteReader reader);

    public override bool IsOver => _source.Task.IsCompleted;

    public override void Answer(ZooKeeperError error, ref JuteReader reader)
    {
        try
        {
            _source.TrySetResult(read(error, ref reader));
        }
        catch (ZooKeeperException exception)
        {
            _source.TrySetException(exception);
        }
    }

    public override void Fail(ZooKeeperError error, Exception? cause = null) =>
        _source.TrySetException(new ZooKeeperException(error, Path, innerException: cause));

    public async Task<T> WaitAsync(CancellationToken cancellationToken)
    {
        await using var registration = cancellationToken.UnsafeRegister(
            static (source, token) => ((TaskCompletionSource<T>)source!).TrySetCanceled(token), _source);
        return await _source.Task;
    }
}
