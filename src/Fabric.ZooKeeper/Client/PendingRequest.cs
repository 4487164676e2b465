using System.Buffers.Binary;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>
/// A request from the call to the answer. It ends once: by its answer, by the loss of the connection, or by its caller. It is encoded by
/// its caller, before any lock is taken; only its number is filled in when it is sent.
/// </summary>
internal abstract class PendingRequest
{
    private byte[] _frame;

    /// <exception cref="ArgumentException">It is larger than the servers take.</exception>
    protected PendingRequest(OpCode type, IJuteRecord? body, string? path, int lengthMax)
    {
        (Type, Path) = (type, path);
        using var buffer = new JuteBuffer();
        if (body is null)
        {
            JuteFrame.Append(buffer, new RequestHeader(0, type));
        }
        else
        {
            JuteFrame.Append(buffer, new RequestHeader(0, type), body);
        }

        Length = buffer.Length;
        if (Length - JuteFrame.HeaderLength > lengthMax)
        {
            throw new ArgumentException(
                $"the request for {path ?? "several znodes"} takes {Length - JuteFrame.HeaderLength} bytes; a ZooKeeper server takes at most {lengthMax}",
                nameof(body));
        }

        _frame = buffer.Written.ToArray();
    }

    public OpCode Type { get; }

    /// <summary>The path as the caller wrote it.</summary>
    public string? Path { get; }

    /// <summary>Bytes of its frame.</summary>
    public int Length { get; }

    /// <summary>Its number; set when it is sent.</summary>
    public int Xid { get; private set; }

    /// <summary>Whether its caller has given up: it need not be sent any more.</summary>
    public abstract bool IsOver { get; }

    /// <summary>Appends the frame with its number. Once.</summary>
    public void WriteTo(JuteBuffer outgoing, int xid)
    {
        Xid = xid;
        var target = outgoing.GetSpan(_frame.Length);
        _frame.CopyTo(target);
        BinaryPrimitives.WriteInt32BigEndian(target[JuteFrame.HeaderLength..], xid);
        outgoing.Advance(_frame.Length);
        _frame = [];
    }

    /// <summary>Takes in the answer. Runs on the connection's reader, before anything that the server sent later.</summary>
    /// <exception cref="JuteException">The answer is not what belongs to the request.</exception>
    public abstract void Answer(ZooKeeperError error, ref JuteReader reader);

    public abstract void Fail(ZooKeeperError error, Exception? cause = null);
}

/// <summary>A request with its result.</summary>
/// <typeparam name="T">Of the result.</typeparam>
internal sealed class PendingRequest<T>(OpCode type, IJuteRecord? body, string? path, int lengthMax, PendingRequest<T>.Reader read)
    : PendingRequest(type, body, path, lengthMax)
{
    private readonly TaskCompletionSource<T> _source = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Makes the result of an answer; throws <see cref="ZooKeeperException"/> when the error is the result.</summary>
    public delegate T Reader(ZooKeeperError error, ref JuteReader reader);

    public override bool IsOver => _source.Task.IsCompleted;

    public override void Answer(ZooKeeperError error, ref JuteReader reader)
    {
        // Also when the caller has gone: the server has set the watch that came with the request, so it must be known here.
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
