using System.Buffers;
using System.IO.Pipelines;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime;
using Fabric.Runtime.Network;
using Fabric.Runtime.Scheduling;

namespace Fabric.Client.Connections;

/// <summary>What a transport works for.</summary>
internal interface ITransportOwner
{
    /// <summary>Writes what is waiting, up to some 64 KiB. Called by the transport's writer only.</summary>
    /// <returns>True when more may be waiting.</returns>
    bool Fill(OpenWireTransport transport, OpenWireWriter writer);

    /// <summary>Takes one frame, from its type byte on. Called by the transport's reader only; the bytes are gone when it returns.</summary>
    /// <returns>What the frame answers, for the transport to complete; null when there is nothing to complete.</returns>
    PendingCommand? OnFrame(OpenWireTransport transport, ReadOnlySpan<byte> frame);
}

/// <summary>
/// One TCP connection that speaks OpenWire: handshake, one reader, one writer, one watch over silence. It knows nothing of what
/// the frames mean. It ends once and for all with the first error; <see cref="Completion"/> says which.
/// </summary>
internal sealed class OpenWireTransport : IAsyncDisposable
{
    /// <summary>What follows from version 10 on is the same for every frame that a client writes.</summary>
    private const int VersionMin = MessageView.VersionMin;

    private readonly FabricRuntime _runtime;
    private readonly INetworkConnection _connection;
    private readonly AsyncSignal _wake = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<Exception> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<IDataStructure> _earlyCommands = [];
    private byte[] _scratch = [];
    private Task _loops = Task.CompletedTask;
    private volatile bool _hasReceived;
    private volatile bool _hasSent;
    private volatile bool _answerKeepAlive;
    private volatile bool _isFinishing;

    private OpenWireTransport(FabricRuntime runtime, INetworkConnection connection, BrokerAddress address)
    {
        _runtime = runtime;
        _connection = connection;
        Address = address;
    }

    public BrokerAddress Address { get; }

    /// <summary>What both sides agreed on.</summary>
    public WireFormat Format { get; private set; } = WireFormat.Default;

    /// <summary>Shares the strings of this connection. For the reader only.</summary>
    public StringCache Strings { get; } = new();

    /// <summary>The broker's name, once it has introduced itself.</summary>
    public string? BrokerName { get; private set; }

    /// <summary>Ends, never fails, when the connection is over and its loops are done; the result is the reason.</summary>
    public Task<Exception> Completion => CompleteAsync();

    /// <summary>Connects and agrees on the wire format.</summary>
    /// <exception cref="IOException">The broker cannot be reached, or does not answer in time.</exception>
    /// <exception cref="ProtocolException">What answers is no OpenWire broker, or one that is too old.</exception>
    public static async Task<OpenWireTransport> ConnectAsync(
        FabricRuntime runtime, BrokerAddress address, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(address.Options.ConnectionTimeout, runtime.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        OpenWireTransport? transport = null;
        try
        {
            var connection = await runtime.Network.ConnectAsync(
                address.Host, address.Port, address.CreateTls(), both.Token).ConfigureAwait(false);
            transport = new OpenWireTransport(runtime, connection, address);
            await transport.NegotiateAsync(address.Options.CreateOffer(address.Host), both.Token).ConfigureAwait(false);
            return transport;
        }
        catch (Exception exception)
        {
            transport?._connection.Abort();
            if (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                throw new IOException($"{address} did not answer within {address.Options.ConnectionTimeout.TotalSeconds:0.###} s");
            }

            throw;
        }
    }

    /// <summary>Presents the client to the broker. Before <see cref="Start"/> only.</summary>
    /// <exception cref="IOException">The connection broke or the broker was silent for too long.</exception>
    /// <exception cref="BrokerErrorException">The broker refused.</exception>
    public async Task LoginAsync(
        ConnectionInfo info, bool announceFailover, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, _runtime.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var writer = new OpenWireWriter(Format.Version, Format.StackTraceEnabled);
        if (announceFailover)
        {
            writer.WriteFrame(new ConnectionControl { FaultTolerant = true });
        }

        writer.WriteFrame(info);
        try
        {
            await WriteAsync(writer, both.Token).ConfigureAwait(false);
            while (true)
            {
                var command = await ReadCommandAsync(both.Token).ConfigureAwait(false);
                switch (command)
                {
                    case ExceptionResponse { Exception: { } error } refusal when refusal.CorrelationId == info.CommandId:
                        throw new BrokerErrorException(error);
                    case Response response when response.CorrelationId == info.CommandId:
                        return;
                    case ConnectionError { Exception: { } error }:
                        throw new BrokerErrorException(error);
                    case BrokerInfo broker:
                        BrokerName = broker.BrokerName;
                        break;
                    case not null:
                        _earlyCommands.Add(command);
                        break;
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{Address} did not answer the login within {timeout.TotalSeconds:0.###} s");
        }
    }

    /// <summary>Starts the loops. What the broker sent during the login is handed over first.</summary>
    public void Start(ITransportOwner owner)
    {
        foreach (var command in _earlyCommands)
        {
            owner.OnFrame(this, OpenWireCodec.Encode(command, Format.Version, Format.StackTraceEnabled).AsSpan(OpenWireCodec.SizeBytes))?.Complete();
        }

        _earlyCommands.Clear();
        var scheduler = _runtime.Scheduler;
        _loops = Task.WhenAll(
            scheduler.Start($"client reader {Address}", () => GuardAsync(() => ReadAsync(owner))),
            scheduler.Start($"client writer {Address}", () => GuardAsync(() => WriteAsync(owner))),
            scheduler.Start($"client keep-alive {Address}", () => GuardAsync(WatchAsync)));
    }

    /// <summary>Tells the writer that something is waiting.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Writes what is waiting on the caller's thread, unless the writer is at work. The caller holds no lock.</summary>
    public void WriteHere() => _wake.Set(inline: true);

    /// <summary>Ends the connection at once, for this reason.</summary>
    public void Abort(Exception cause)
    {
        if (_ended.TrySetResult(cause))
        {
            _stop.Cancel();
            _connection.Abort();
            _wake.Set();
        }
    }

    /// <summary>Ends the connection in order, once everything that waits is written; at once when that takes too long.</summary>
    public async Task FinishAsync(TimeSpan limit)
    {
        _isFinishing = true;
        _wake.Set();
        try
        {
            await Completion.WaitAsync(limit, _runtime.Time).ConfigureAwait(false);
        }
        catch (TimeoutException exception)
        {
            Abort(exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_ended.Task.IsCompleted)
        {
            Abort(new IOException("the connection was closed"));
        }

        await _loops.ConfigureAwait(false);
        await _connection.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task<Exception> CompleteAsync()
    {
        var cause = await _ended.Task.ConfigureAwait(false);
        await _loops.ConfigureAwait(false);
        return cause;
    }

    private async Task NegotiateAsync(WireFormat offer, CancellationToken cancellationToken)
    {
        var writer = new OpenWireWriter(OpenWireCodec.VersionMax, stackTraceEnabled: false);
        writer.WriteFrame(offer.ToInfo());
        await WriteAsync(writer, cancellationToken).ConfigureAwait(false);
        var first = await ReadCommandAsync(cancellationToken).ConfigureAwait(false);
        if (first is not WireFormatInfo info)
        {
            throw new ProtocolException($"{Address} does not speak OpenWire");
        }

        Format = offer.Negotiate(WireFormat.FromInfo(info));
        if (Format.Version < VersionMin)
        {
            throw new ProtocolException(
                $"{Address} speaks OpenWire {Format.Version}; this client needs {VersionMin} or later (ActiveMQ 5.9)");
        }
    }

    private async Task<IDataStructure?> ReadCommandAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await _connection.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            if (OpenWireCodec.TryReadFrame(ref buffer, FrameBytesMax, out var frame))
            {
                var command = OpenWireCodec.Decode(frame.ToArray(), Format.Version, Format.StackTraceEnabled);
                _connection.Input.AdvanceTo(buffer.Start);
                return command;
            }

            _connection.Input.AdvanceTo(buffer.Start, buffer.End);
            ThrowIfCompleted(result);
        }
    }

    private long FrameBytesMax => Format.MaxFrameSize > 0 ? Format.MaxFrameSize : int.MaxValue;

    private async Task ReadAsync(ITransportOwner owner)
    {
        PendingCommand? answered = null;
        try
        {
            while (true)
            {
                var read = new ReadAndComplete(_connection.Input.ReadAsync(_stop.Token), answered);
                answered = null;
                var result = await read;
                var buffer = result.Buffer;
                _hasReceived = true;
                while (OpenWireCodec.TryReadFrame(ref buffer, FrameBytesMax, out var frame))
                {
                    if (TakeFrame(owner, frame) is { } next)
                    {
                        answered?.Complete();
                        answered = next;
                    }
                }

                _connection.Input.AdvanceTo(buffer.Start, buffer.End);
                ThrowIfCompleted(result);
            }
        }
        finally
        {
            answered?.Complete();
        }
    }

    private PendingCommand? TakeFrame(ITransportOwner owner, in ReadOnlySequence<byte> frame)
    {
        if (frame.IsSingleSegment)
        {
            return TakeFrame(owner, frame.FirstSpan);
        }

        var length = (int)frame.Length;
        if (_scratch.Length < length)
        {
            _scratch = GC.AllocateUninitializedArray<byte>(length);
        }

        frame.CopyTo(_scratch);
        return TakeFrame(owner, _scratch.AsSpan(0, length));
    }

    private PendingCommand? TakeFrame(ITransportOwner owner, ReadOnlySpan<byte> frame)
    {
        switch ((DataType)frame[0])
        {
            case DataType.Null:
                break;
            case DataType.KeepAliveInfo:
                if (OpenWireCodec.Decode(frame, Format.Version) is KeepAliveInfo { ResponseRequired: true })
                {
                    _answerKeepAlive = true;
                    _wake.Set();
                }

                break;
            case DataType.BrokerInfo:
                BrokerName = (OpenWireCodec.Decode(frame, Format.Version, Format.StackTraceEnabled) as BrokerInfo)?.BrokerName;
                break;
            case DataType.ShutdownInfo:
                throw new IOException("the broker is shutting down");
            default:
                return owner.OnFrame(this, frame);
        }

        return null;
    }

    private async Task WriteAsync(ITransportOwner owner)
    {
        var writer = new OpenWireWriter(Format.Version, Format.StackTraceEnabled);
        while (!_stop.IsCancellationRequested)
        {
            await _wake.WaitAsync().ConfigureAwait(false);
            var isLastTime = _isFinishing; // looked at before what waits is taken: nothing is posted after it is set
            bool more;
            do
            {
                writer.Clear();
                if (_answerKeepAlive)
                {
                    _answerKeepAlive = false;
                    writer.WriteFrame(new KeepAliveInfo());
                }

                more = owner.Fill(this, writer);
                await WriteAsync(writer, _stop.Token).ConfigureAwait(false);
            }
            while (more);
            if (isLastTime && _ended.TrySetResult(new IOException("the connection was closed")))
            {
                await _stop.CancelAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task WriteAsync(OpenWireWriter writer, CancellationToken cancellationToken)
    {
        if (writer.Written.IsEmpty)
        {
            return;
        }

        _hasSent = true;
        _connection.Output.Write(writer.Written);
        await _connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// The inactivity monitor (reference §1.5): a sign of life when nothing was written for a third of the limit, and the end
    /// when nothing was received for all of it.
    /// </summary>
    private async Task WatchAsync()
    {
        if (Format.MaxInactivityDuration <= 0)
        {
            return;
        }

        var limit = TimeSpan.FromMilliseconds(Format.MaxInactivityDuration);
        await Task.Delay(
            TimeSpan.FromMilliseconds(Format.MaxInactivityDurationInitialDelay), _runtime.Time, _stop.Token).ConfigureAwait(false);
        using var timer = new PeriodicTimer(limit / 3, _runtime.Time);
        for (var silent = 0; await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false);)
        {
            silent = _hasReceived ? 0 : silent + 1;
            _hasReceived = false;
            if (silent > 3)
            {
                throw new IOException($"{Address} was silent for more than {limit.TotalSeconds:0.###} s");
            }

            if (!_hasSent)
            {
                _answerKeepAlive = true;
                _wake.Set();
            }

            _hasSent = false;
        }
    }

    /// <summary>The top of each loop: whatever ends it ends the connection.</summary>
    private async Task GuardAsync(Func<Task> loop)
    {
        try
        {
            await loop().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            Abort(exception is OperationCanceledException ? new IOException("the connection was closed", exception) : exception);
        }
    }

    private void ThrowIfCompleted(in ReadResult result)
    {
        if (result.IsCompleted)
        {
            throw new IOException($"{Address} closed the connection");
        }
    }
}
