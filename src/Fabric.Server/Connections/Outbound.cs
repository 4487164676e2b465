using System.Buffers;
using Fabric.Protocols.OpenWire;
using Fabric.Store.Journal;

namespace Fabric.Server.Connections;

/// <summary>
/// What a connection has to say besides messages: finished frames, and responses that wait until the journal is committed up
/// to a position. Filled by the reader (and whoever reports to this client), emptied by the writer. Thread-safe.
/// </summary>
internal sealed class Outbound(int version, bool stackTraceEnabled)
{
    private readonly Lock _gate = new();
    private readonly OpenWireWriter _frames = new(version, stackTraceEnabled);
    private readonly Queue<Waiting> _waiting = new();

    /// <summary>Bytes that the writer has not taken yet.</summary>
    public int Bytes
    {
        get
        {
            lock (_gate)
            {
                return _frames.Written.Length;
            }
        }
    }

    /// <summary>Puts a frame into the stream.</summary>
    public void Write(IDataStructure command)
    {
        lock (_gate)
        {
            _frames.WriteFrame(command);
        }
    }

    /// <summary>
    /// Answers a command when everything before the position is committed; at once when it is zero. Answers of commands that
    /// wait come in the order of their commands.
    /// </summary>
    public void Respond(int commandId, Position confirmAfter)
    {
        lock (_gate)
        {
            if (confirmAfter == Position.Zero)
            {
                WriteResponse(commandId);
            }
            else
            {
                _waiting.Enqueue(new Waiting(confirmAfter, commandId, null));
            }
        }
    }

    /// <summary>Sends a command when everything before the position is committed; at once when it is zero.</summary>
    public void WriteAfter(IDataStructure command, Position confirmAfter)
    {
        lock (_gate)
        {
            if (confirmAfter == Position.Zero)
            {
                _frames.WriteFrame(command);
            }
            else
            {
                _waiting.Enqueue(new Waiting(confirmAfter, 0, command));
            }
        }
    }

    /// <summary>Whether something may be sent by now.</summary>
    public bool IsReady(Position committed)
    {
        lock (_gate)
        {
            return !_frames.Written.IsEmpty || (_waiting.TryPeek(out var next) && next.After <= committed);
        }
    }

    /// <summary>Moves what may be sent by now into the output.</summary>
    /// <returns>Bytes moved.</returns>
    public int MoveTo(IBufferWriter<byte> output, Position committed)
    {
        lock (_gate)
        {
            while (_waiting.TryPeek(out var next) && next.After <= committed)
            {
                _waiting.Dequeue();
                if (next.Command is { } command)
                {
                    _frames.WriteFrame(command);
                }
                else
                {
                    WriteResponse(next.CommandId);
                }
            }

            var written = _frames.Written;
            if (written.IsEmpty)
            {
                return 0;
            }

            var count = written.Length;
            output.Write(written);
            _frames.Clear();
            return count;
        }
    }

    private void WriteResponse(int commandId)
    {
        // The plain Response, spelled out: it is the most frequent frame there is.
        _frames.WriteInt(10);
        _frames.WriteByte((byte)DataType.Response);
        _frames.WriteInt(0);
        _frames.WriteBoolean(false);
        _frames.WriteInt(commandId);
    }

    private readonly record struct Waiting(Position After, int CommandId, IDataStructure? Command);
}
