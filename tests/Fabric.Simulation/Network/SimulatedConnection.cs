using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Fabric.Runtime.Network;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Network;

/// <summary>One end of a TCP connection.</summary>
internal sealed class SimulatedConnection : INetworkConnection
{
    private readonly Process _process;
    private readonly Pipe _received = new(new PipeOptions(
        readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, pauseWriterThreshold: 0, resumeWriterThreshold: 0));
    private readonly SendingPipe _sending;
    private readonly ReceivingPipe _receiving;
    private SimulatedConnection _peer = null!;
    private readonly PacketStream _outgoing = new();
    private bool _isClosed;
    private bool _isForgotten;
    private bool _inputEnded;

    private SimulatedConnection(Process process, int port, Process peer, int peerPort)
    {
        _process = process;
        _sending = new SendingPipe(this);
        _receiving = new ReceivingPipe(this, _received.Reader);
        LocalEndPoint = $"{process.Host.Address}:{port}";
        RemoteEndPoint = $"{peer.Host.Address}:{peerPort}";
    }

    public PipeReader Input => _receiving;

    public PipeWriter Output => _sending;

    public string RemoteEndPoint { get; }

    public string LocalEndPoint { get; }

    internal Process Process => _process;

    /// <summary>The other end has gone.</summary>
    internal bool IsForgotten => _peer._isClosed || _peer._isForgotten;

    private World World => _process.World;

    public static (SimulatedConnection, SimulatedConnection) Pair(Process one, int onePort, Process other, int otherPort)
    {
        var first = new SimulatedConnection(one, onePort, other, otherPort);
        var second = new SimulatedConnection(other, otherPort, one, onePort);
        (first._peer, second._peer) = (second, first);
        return (first, second);
    }

    public void Abort()
    {
        if (_isClosed)
        {
            return;
        }

        Send(_peer.Reset);
        Close(Broken("aborted here"));
    }

    public ValueTask DisposeAsync()
    {
        if (!_isClosed)
        {
            Send(_peer.OnEnd);
            Close(Broken("closed here"));
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Both ends learn that the connection is gone.</summary>
    internal void Break()
    {
        var peer = _peer;
        Reset();
        peer.Reset();
    }

    /// <summary>This end learns that the connection is gone, and what it has on its way is lost; the other end learns it when it sends something.</summary>
    internal void BreakHere()
    {
        _isForgotten = true;
        Reset();
    }

    /// <summary>Hands bytes to the wire.</summary>
    internal void Transmit(byte[] bytes)
    {
        World.Trace.Note(bytes);
        Send(() => _peer.OnBytes(bytes));
    }

    /// <summary>The reader has consumed bytes: the other end may send more.</summary>
    internal void OnConsumed(long bytes)
    {
        if (bytes > 0)
        {
            _peer._sending.OnConsumed(bytes);
        }
    }

    internal static IOException Broken(string how) =>
        new($"the connection is broken: {how}", new SocketException((int)SocketError.ConnectionReset));

    private void Send(Action arrive) => World.Wires.Between(_process.Host, _peer._process.Host).Carry(_outgoing, arrive);

    private void OnBytes(byte[] bytes)
    {
        if (_peer._isForgotten)
        {
            return;
        }

        if (_process.IsDead || _isClosed)
        {
            if (_process.Host.IsUp)
            {
                Send(_peer.Reset); // nobody is here any more
            }

            return;
        }

        World.After(TimeSpan.Zero, _process, () => Take(bytes));
    }

    private void Take(byte[] bytes)
    {
        if (!_isClosed && !_inputEnded)
        {
            World.Trace.Line(World.Now, _process.Name, $"gets {bytes.Length} bytes from {RemoteEndPoint}: {Convert.ToHexString(bytes.AsSpan(0, Math.Min(bytes.Length, 512)))}");
            _received.Writer.Write(bytes);
            _ = _received.Writer.FlushAsync();
        }
    }

    private void OnEnd() => World.After(TimeSpan.Zero, _process, () =>
    {
        if (!_inputEnded)
        {
            _inputEnded = true;
            _received.Writer.Complete();
        }
    });

    private void Reset()
    {
        if (!_process.IsDead && !_isClosed)
        {
            World.After(TimeSpan.Zero, _process, () => Close(Broken("reset by the peer")));
        }
    }

    private void Close(IOException how)
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        _process.Network.Closed(this);
        _sending.Break(how);
        if (!_inputEnded)
        {
            _inputEnded = true;
            _received.Writer.Complete(how);
        }
    }
}

/// <summary>What a process writes into: each flush is a packet; it waits while the other end has too much unread.</summary>
internal sealed class SendingPipe(SimulatedConnection connection) : PipeWriter
{
    private byte[] _buffer = new byte[4096];
    private int _length;
    private long _unread;
    private IOException? _broken;
    private TaskCompletionSource<FlushResult>? _waiting;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _length;

    public override void Advance(int bytes) => _length += bytes;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _buffer.AsMemory(_length);
    }

    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _buffer.AsSpan(_length);
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_broken is { } broken)
        {
            return ValueTask.FromException<FlushResult>(SimulatedConnection.Broken(broken.Message));
        }

        if (_length > 0)
        {
            var bytes = _buffer.AsSpan(0, _length).ToArray();
            _length = 0;
            _unread += bytes.Length;
            connection.Transmit(bytes);
        }

        if (_unread <= connection.Process.World.Wires.WindowBytes)
        {
            return new ValueTask<FlushResult>(new FlushResult(isCanceled: false, isCompleted: false));
        }

        _waiting = new TaskCompletionSource<FlushResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        return new ValueTask<FlushResult>(_waiting.Task.WaitAsync(cancellationToken));
    }

    public override void CancelPendingFlush() => _waiting?.TrySetResult(new FlushResult(isCanceled: true, isCompleted: false));

    public override void Complete(Exception? exception = null)
    {
        if (exception is null && _length > 0 && _broken is null)
        {
            _ = FlushAsync(CancellationToken.None);
        }
    }

    internal void OnConsumed(long bytes)
    {
        _unread -= bytes;
        if (_unread <= connection.Process.World.Wires.WindowBytes / 2)
        {
            _waiting?.TrySetResult(new FlushResult(isCanceled: false, isCompleted: false));
        }
    }

    internal void Break(IOException how)
    {
        _broken ??= how;
        _waiting?.TrySetException(SimulatedConnection.Broken(how.Message));
    }

    private void Reserve(int bytes)
    {
        if (_buffer.Length - _length < Math.Max(bytes, 1))
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + bytes));
        }
    }
}

/// <summary>What a process reads from; tells how much it has consumed.</summary>
internal sealed class ReceivingPipe(SimulatedConnection connection, PipeReader inner) : PipeReader
{
    private ReadOnlySequence<byte> _last;

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        var bytes = _last.IsEmpty ? 0 : _last.Slice(0, consumed).Length;
        _last = default;
        inner.AdvanceTo(consumed, examined);
        connection.OnConsumed(bytes);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        var read = inner.ReadAsync(cancellationToken);
        if (!read.IsCompletedSuccessfully)
        {
            return Later(read);
        }

        var result = read.Result;
        _last = result.Buffer;
        return new ValueTask<ReadResult>(result);
    }

    public override bool TryRead(out ReadResult result)
    {
        var has = inner.TryRead(out result);
        if (has)
        {
            _last = result.Buffer;
        }

        return has;
    }

    private async ValueTask<ReadResult> Later(ValueTask<ReadResult> read)
    {
        var result = await read;
        _last = result.Buffer;
        return result;
    }
}
