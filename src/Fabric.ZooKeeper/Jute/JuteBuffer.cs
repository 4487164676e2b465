using System.Buffers;
using System.Buffers.Binary;

namespace Fabric.ZooKeeper.Jute;

/// <summary>
/// Collects outgoing frames in one pooled array, so that a frame's length can be written after its content. It holds no array
/// while it is empty. One owner at a time.
/// </summary>
internal sealed class JuteBuffer : IBufferWriter<byte>, IDisposable
{
    private const int SizeMin = 256;

    private byte[] _bytes = [];
    private int _length;

    /// <summary>Bytes written so far.</summary>
    public int Length => _length;

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    public ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, _length);

    /// <summary>The same bytes, to fill in what is known only at the end. Valid until the next write.</summary>
    public Memory<byte> WrittenForUpdate => _bytes.AsMemory(0, _length);

    /// <summary>Reserves the four bytes of a frame's length.</summary>
    /// <returns>What <see cref="EndFrame"/> takes.</returns>
    public int BeginFrame()
    {
        var start = _length;
        GetSpan(sizeof(int));
        Advance(sizeof(int));
        return start;
    }

    /// <summary>Fills in the length of the frame that began at <paramref name="start"/>.</summary>
    public void EndFrame(int start) =>
        BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(start), _length - start - sizeof(int));

    /// <summary>Drops everything from the offset on.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _length);
        _length = length;
    }

    /// <summary>Empties the buffer and gives its array back to the pool.</summary>
    public void Clear()
    {
        var bytes = _bytes;
        _bytes = [];
        _length = 0;
        if (bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _bytes.Length - _length);
        _length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsSpan(_length);
    }

    public void Dispose() => Clear();

    private void Reserve(int sizeHint)
    {
        var wanted = checked(_length + Math.Max(sizeHint, 1));
        if (wanted <= _bytes.Length)
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, Math.Max(Math.Max(wanted, _bytes.Length * 2L), SizeMin)));
        Written.CopyTo(larger);
        var old = _bytes;
        _bytes = larger;
        if (old.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(old);
        }
    }
}
