using System.Buffers.Binary;
using System.Numerics;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>CRC-32C (Castagnoli, reflected, initial and final value all ones), by the processor's instruction where it has one.</summary>
internal static class Crc32C
{
    public static uint Compute(params ReadOnlySpan<ReadOnlyMemory<byte>> parts)
    {
        var crc = uint.MaxValue;
        foreach (var part in parts)
        {
            crc = Append(crc, part.Span);
        }

        return ~crc;
    }

    private static uint Append(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return crc;
    }
}
