using Fabric.Protocols.OpenWire;

namespace Fabric.Client.Connections;

/// <summary>What becomes of an unanswered command when its connection breaks.</summary>
internal enum AfterLoss
{
    /// <summary>It is sent again on the next connection, under the same id.</summary>
    SendAgain,

    /// <summary>It is forgotten; who sent it does so again as part of restoring the connection.</summary>
    Forget,

    /// <summary>It fails: whether the broker carried it out is unknown. Given while there is no connection, it waits for one.</summary>
    FailIfWritten,
}

/// <summary>A command that waits for the broker's answer. Its fields are guarded by the lock of <see cref="FailoverConnection"/>.</summary>
internal abstract class PendingCommand
{
    /// <summary>Place in the order of sending, which is the order of sending again.</summary>
    public long Order { get; set; }

    /// <summary>The OpenWire command id that the answer repeats.</summary>
    public int CommandId { get; set; }

    /// <summary>True once the command may have reached a broker.</summary>
    public bool WasWritten { get; set; }

    public AfterLoss AfterLoss { get; init; }

    /// <summary>What is written to the connection.</summary>
    public abstract IDataStructure Frame { get; }

    /// <summary>The broker has done it. Called outside of locks.</summary>
    /// <param name="inline">Who waits may go on inside this call, for as long as it likes.</param>
    public abstract void Complete(bool inline = false);

    /// <summary>It failed, or nobody knows. Called outside of locks.</summary>
    public abstract void Fail(Exception cause);
}

/// <summary>Any command but a message, awaited as a task.</summary>
internal sealed class PendingRequest(Command command) : PendingCommand
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Done => _done.Task;

    public override IDataStructure Frame
    {
        get
        {
            command.CommandId = CommandId;
            command.ResponseRequired = true;
            return command;
        }
    }

    public override void Complete(bool inline) => _done.TrySetResult();

    public override void Fail(Exception cause)
    {
        _done.TrySetException(cause);
        _ = _done.Task.Exception; // observed: not every request has somebody who waits
    }
}
