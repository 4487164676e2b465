using System.Buffers.Binary;
using Fabric.Store;

namespace Fabric.Broker.Index;

/// <summary>
/// Writes and reads the body of an Acknowledged record: for each queue its id, how many messages, the first position, then
/// the differences to the one before as zigzag variable-length integers (a run of small messages costs two bytes each).
/// <code>
/// { queue i32 | count i32 | first position i64 | difference varint … } …
/// </code>
/// </summary>
internal sealed class AcknowledgedRecord
{
    private const int GroupHeaderBytes = 16;
    private const int VarintBytesMax = 10;

    private byte[] _buffer = new byte[256];
    private int _length;
    private int _group;
    private int _groupQueue;
    private int _groupCount;
    private long _last;

    /// <summary>Messages added since the last <see cref="Clear"/>.</summary>
    public int Count { get; private set; }

    public ReadOnlySpan<byte> Body => _buffer.AsSpan(0, _length);

    public void Clear()
    {
        _length = 0;
        _groupCount = 0;
        Count = 0;
    }

    public void Add(int queueId, long position)
    {
        if (_buffer.Length - _length < GroupHeaderBytes + VarintBytesMax)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        if (_groupCount == 0 || queueId != _groupQueue)
        {
            _group = _length;
            _groupQueue = queueId;
            _groupCount = 0;
            BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_length), queueId);
            BinaryPrimitives.WriteInt64LittleEndian(_buffer.AsSpan(_length + 8), position);
            _length += GroupHeaderBytes;
        }
        else
        {
            var difference = position - _last;
            _length += Varint.Write(_buffer.AsSpan(_length), (ulong)((difference << 1) ^ (difference >> 63)));
        }

        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_group + 4), ++_groupCount);
        _last = position;
        Count++;
    }

    /// <summary>Reads bodies without allocating.</summary>
    public ref struct Reader(ReadOnlySpan<byte> body)
    {
        private ReadOnlySpan<byte> _rest = body;
        private int _left;

        public int QueueId { get; private set; }

        public long Position { get; private set; }

        /// <exception cref="StoreException">The body has another form.</exception>
        public bool Read()
        {
            if (_left > 0)
            {
                _left--;
                var zigzag = Varint.Read(ref _rest);
                Position += (long)(zigzag >> 1) ^ -(long)(zigzag & 1);
                return true;
            }

            if (_rest.IsEmpty)
            {
                return false;
            }

            if (_rest.Length < GroupHeaderBytes)
            {
                throw new StoreException("an acknowledgement record is cut short");
            }

            QueueId = BinaryPrimitives.ReadInt32LittleEndian(_rest);
            _left = BinaryPrimitives.ReadInt32LittleEndian(_rest[4..]) - 1;
            Position = BinaryPrimitives.ReadInt64LittleEndian(_rest[8..]);
            _rest = _rest[GroupHeaderBytes..];
            return _left >= 0 ? true : throw new StoreException("an acknowledgement record has an empty group");
        }
    }
}

/// <summary>Integers in groups of seven bits, least significant first.</summary>
internal static class Varint
{
    /// <returns>Bytes written, at most ten.</returns>
    public static int Write(Span<byte> output, ulong value)
    {
        var length = 0;
        for (; value >= 0x80; value >>= 7)
        {
            output[length++] = (byte)(value | 0x80);
        }

        output[length++] = (byte)value;
        return length;
    }

    /// <exception cref="StoreException">The input ends within the integer, or it is longer than ten bytes.</exception>
    public static ulong Read(ref ReadOnlySpan<byte> input)
    {
        ulong value = 0;
        for (var i = 0; i < input.Length && i < 10; i++)
        {
            value |= (ulong)(input[i] & 0x7F) << (7 * i);
            if (input[i] < 0x80)
            {
                input = input[(i + 1)..];
                return value;
            }
        }

        throw new StoreException("an integer is cut short");
    }
}
