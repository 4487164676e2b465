using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Fabric.Broker;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime.Network;
using Fabric.Runtime.Scheduling;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>
/// One OpenWire client. The reader takes frames off the socket and turns them into calls of the broker; the writer sends
/// responses once their records are committed, and messages as the broker hands them out. Nothing else touches the socket.
/// </summary>
/// <remarks>
/// Reader and writer are two loops; each owns its half of the socket. Whoever has something for the writer changes shared
/// state (<see cref="Outbound"/>, the broker's delivery list) and calls <see cref="Wake"/>. A connection ends when its reader
/// ends: by the client, by a broken rule, by silence, or because the mastership is over.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "RunAsync is its whole life and disposes what it holds at the end.")]
internal sealed partial class OpenWireConnection : IConnectionSink
{
    private const int ReadsWithoutWaitMax = 4;

    /// <summary>A million answers: nobody asks so much without reading any but to do harm.</summary>
    private const int AnswerBytesMax = 16 * 1024 * 1024;

    private readonly OpenWireServices _services;
    private readonly INetworkConnection _network;
    private readonly AsyncSignal _wake = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly TimeSpan _opened;

    // Set once by the reader, when both WireFormatInfos are known; read by the writer and the checks afterwards.
    private volatile Outbound? _outbound;
    private volatile WireFormat? _wireFormat;

    // Set by the reader, when the client has authenticated, and once more when it has ended its connection and begins another on the same socket.
    private volatile BrokerConnection? _connection;

    // When the socket was last heard of and last written to, in ticks of the monotonic clock.
    private long _lastRead;
    private long _lastWritten;
    private volatile string? _endReason;
    private volatile bool _refused;
    private volatile bool _held;
    private volatile bool _cut;
    private volatile bool _waitsForRoom;

    public OpenWireConnection(OpenWireServices services, INetworkConnection network)
    {
        (_services, _network) = (services, network);
        _opened = services.Now;
        _lastRead = _lastWritten = _opened.Ticks;
    }

    /// <summary>Runs the connection to its end.</summary>
    public async Task RunAsync()
    {
        await using var network = _network;
        var writing = _services.Runtime.Scheduler.Start($"OpenWire writer {_network.RemoteEndPoint}", WriteAsync);
        try
        {
            await ReadAsync();
        }
        catch (ProtocolException exception)
        {
            _services.Logger.LogInformation("{Remote} broke the protocol: {Reason}", _network.RemoteEndPoint, exception.Message);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            _services.Logger.LogDebug("{Remote} is gone: {Reason}", _network.RemoteEndPoint, _endReason ?? exception.Message);
        }
        catch (Exception exception)
        {
            _services.Logger.LogError(exception, "The connection of {Remote} failed", _network.RemoteEndPoint);
        }
        finally
        {
            _connection?.Disconnect(LastDelivered.Unknown);
            await _ended.CancelAsync();
            _wake.Set();
            await writing;
            _services.Unpark(_parkedBytes);
            _ended.Dispose();
        }
    }

    /// <summary>There is something for the writer, or the committed position has moved. Any thread; cheap unless it is here.</summary>
    public void Wake(bool here) => _wake.Set(here);

    /// <summary>The broker ends this connection: another one took its place, say.</summary>
    public void Close(string reason)
    {
        _endReason = reason;
        Abort();
    }

    /// <summary>The mastership is over: what the client sends is read and dropped until the listener cuts the connection.</summary>
    public void Hold() => _held = true;

    /// <summary>Cuts the socket at once; both loops see it and end.</summary>
    public void Abort()
    {
        _cut = true;
        _network.Abort();
        _wake.Set(); // the writer tells the reader, which need not be at the socket
    }

    /// <summary>Ends a connection that is silent or will not authenticate, and keeps a quiet one alive. Called now and then.</summary>
    public void Check()
    {
        var now = _services.Now;
        if (_connection is null && now - _opened > _services.Options.HandshakeLimit)
        {
            Close("it did not authenticate in time");
            return;
        }

        if (_wireFormat is not { MaxInactivityDuration: > 0 } format || _outbound is not { } outbound
            || now - _opened < TimeSpan.FromMilliseconds(format.MaxInactivityDurationInitialDelay))
        {
            return;
        }

        var limit = TimeSpan.FromMilliseconds(format.MaxInactivityDuration);
        if (!_waitsForRoom && now.Ticks - Volatile.Read(ref _lastRead) > limit.Ticks * 2)
        {
            // The peer speaks every third of the limit; two limits without a byte leave no doubt (the Java client's own rule).
            Close($"nothing was heard for {limit.TotalSeconds * 2:0.#} s");
        }
        else if (now.Ticks - Volatile.Read(ref _lastWritten) > limit.Ticks / 3)
        {
            outbound.Write(new KeepAliveInfo());
            Volatile.Write(ref _lastWritten, now.Ticks);
            _wake.Set();
        }
    }

    private async Task ReadAsync()
    {
        var input = _network.Input;
        var withoutWait = 0;
        while (!_refused)
        {
            var reading = input.ReadAsync(_ended.Token);
            withoutWait = reading.IsCompleted ? withoutWait + 1 : 0;
            var result = _parked.Count == 0 ? await reading : await ReadBesideParkedAsync(reading);
            if (withoutWait == ReadsWithoutWaitMax)
            {
                withoutWait = 0;
                await Task.Yield(); // a client that sends without a pause must not keep the thread that polls all sockets
            }

            Volatile.Write(ref _lastRead, _services.Now.Ticks);
            var buffer = result.Buffer;
            while (!_refused && !_held && OpenWireCodec.TryReadFrame(ref buffer, FrameBytesMax, out var frame))
            {
                await TakeAsync(frame);
            }

            input.AdvanceTo(_held ? buffer.End : buffer.Start, buffer.End);
            WakeForResponses();
            if (_outbound?.Bytes > AnswerBytesMax)
            {
                throw new ProtocolException($"more than {AnswerBytesMax} bytes of answers wait for it, and it does not read them");
            }

            if (result.IsCompleted || _endReason is not null)
            {
                await TakeAllParkedAsync();
                return;
            }
        }

        // A refused client gets the time to read why.
        await Task.Delay(_services.Options.RefusalGrace, _services.Runtime.Time, _ended.Token);
    }

    private long FrameBytesMax => _connection is null
        ? _services.Options.HandshakeFrameBytesMax
        : _wireFormat!.MaxFrameSize is > 0 and var negotiated ? negotiated : _services.Options.FrameBytesMax;

    private void WakeForResponses()
    {
        if (_outbound?.IsReady(_connection?.Confirmed ?? Position.Zero) ?? false)
        {
            _wake.Set();
        }
    }

    private ValueTask TakeAsync(in ReadOnlySequence<byte> frame)
    {
        if (_parked.Count > 0)
        {
            return TakeBehindParkedAsync(frame);
        }

        if (_connection is { } connection && IsMessage(frame) && !(connection.IsShortOfRoom && IsTransacted(connection, frame)))
        {
            var room = connection.WaitForRoomAsync(_ended.Token);
            if (!room.IsCompletedSuccessfully)
            {
                return TakeWithoutRoomAsync(frame, connection, room);
            }
        }

        TakeNow(frame);
        return ValueTask.CompletedTask;
    }

    private static bool IsMessage(in ReadOnlySequence<byte> frame) => MessageView.IsMessage((DataType)frame.FirstSpan[0]);

    private void TakeNow(in ReadOnlySequence<byte> frame)
    {
        if (frame.IsSingleSegment)
        {
            Take(frame.FirstSpan);
            return;
        }

        var length = checked((int)frame.Length);
        var copy = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            frame.CopyTo(copy);
            Take(copy.AsSpan(0, length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }
}
