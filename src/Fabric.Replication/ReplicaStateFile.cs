using System.Buffers.Binary;
using System.Numerics;
using Fabric.Runtime.Disk;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>
/// What a replica must remember besides its journal: who it is, its first replica set, and the epoch it has promised. It lies in
/// the journal's directory, so that a wiped disk loses its identity together with its data.
/// </summary>
/// <remarks>
/// File <c>replica.state</c>: magic "FABRICRS", u32 format version 2, u32 CRC-32C of the rest, 16 bytes replica id, i64 promised epoch,
/// u32 length and body of the replica set (0 while there is none), i64 inherited position, 16 bytes id of the backup. Version 1 ends before the inherited position. Written
/// beside and renamed, file and directory synced.
/// </remarks>
public sealed class ReplicaStateFile
{
    private const string Name = "replica.state";
    private const uint FormatVersion = 2;
    private const int OriginBytes = 8 + 16;
    private const int HeadBytes = 16;
    private const int FixedBytes = HeadBytes + 16 + 8 + 4;
    private static readonly byte[] Magic = "FABRICRS"u8.ToArray();

    private readonly IDisk _disk;
    private readonly string _directory;

    private ReplicaStateFile(IDisk disk, string directory)
    {
        _disk = disk;
        _directory = directory;
    }

    public ReplicaId Id { get; private set; }

    /// <summary>No epoch below this one will be served by this replica again.</summary>
    public Epoch Promised { get; private set; }

    /// <summary>
    /// The set it was formed with, or that there was when it came to a broker that has one, and then it is not in it. The journal's newest ReplicaSet record of the same store takes its place. Null before it is known.
    /// </summary>
    public ReplicaSet? FirstSet { get; private set; }

    /// <summary>
    /// The journal up to here came from a backup. The replica sets named in it are of the broker that was lost, as their store's id says, and say nothing about this replica. Zero for a journal
    /// that began here.
    /// </summary>
    public Position Inherited { get; private set; }

    /// <summary>The backup it came from; empty for a journal that began here.</summary>
    public Guid Origin { get; private set; }

    /// <summary>It has been in no set and has inherited nothing: it has promised and acknowledged nothing, and its journal is empty.</summary>
    internal bool IsBlank => FirstSet is null && Inherited == Position.Zero;

    /// <summary>Reads the file, or makes a new identity when there is none.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's directory; must exist.</param>
    /// <param name="newId">Identity of a new replica.</param>
    /// <param name="hasRecords">Whether the journal beside it holds anything.</param>
    /// <exception cref="StoreException">The file is damaged, from a newer version, or missing beside a journal.</exception>
    public static ReplicaStateFile Open(IDisk disk, string directory, Guid newId, bool hasRecords)
    {
        var file = new ReplicaStateFile(disk, directory);
        var path = Path.Combine(directory, Name);
        if (disk.FileExists(path))
        {
            file.Read(path);
            return file;
        }

        if (hasRecords)
        {
            throw new StoreException(
                $"{directory} holds a journal but no {Name}: its promises are unknown. Restore the file, or empty the directory and let the replica be replaced.");
        }

        file.Id = new ReplicaId(newId);
        file.Write();
        return file;
    }

    /// <summary>Whether a directory belongs to a replica that is, or was, in a set: then it has, or had, a journal.</summary>
    internal static bool WasInSet(IDisk disk, string directory)
    {
        var path = Path.Combine(directory, Name);
        if (!disk.DirectoryExists(directory) || !disk.FileExists(path))
        {
            return false;
        }

        var file = new ReplicaStateFile(disk, directory);
        try
        {
            file.Read(path);
        }
        catch (StoreException)
        {
            return false; // whoever opens it says why
        }

        return !file.IsBlank;
    }

    /// <summary>Gives a journal that was copied back from a backup an identity of its own, which makes it a replica; on disk when it returns.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">Holds the journal, and no identity.</param>
    /// <param name="newId">Identity of the new replica; random, never one that was used before.</param>
    /// <param name="inherited">Where the backup ends.</param>
    /// <param name="origin">Identity of the backup.</param>
    internal static void CreateRestored(IDisk disk, string directory, Guid newId, Position inherited, Guid origin) =>
        new ReplicaStateFile(disk, directory) { Id = new ReplicaId(newId), Inherited = inherited, Origin = origin }.Write();

    /// <summary>Remembers a promise; on disk when it returns.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The epoch is lower than one already promised.</exception>
    public void Promise(Epoch epoch)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(epoch.Value, Promised.Value);
        Promised = epoch;
        Write();
    }

    /// <summary>Remembers the first set that this replica knows; on disk when it returns.</summary>
    public void Form(ReplicaSet set)
    {
        FirstSet = set;
        Write();
    }

    private void Read(string path)
    {
        using var file = _disk.Open(path, DiskFileMode.Open);
        var bytes = new byte[file.Length];
        if (bytes.Length < FixedBytes || file.Read(bytes, 0) != bytes.Length || !bytes.AsSpan(0, 8).SequenceEqual(Magic))
        {
            throw new StoreException($"{path} is not a replica's state");
        }

        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
        if (version is 0 or > FormatVersion)
        {
            throw new NewerFormatException(path, version, FormatVersion);
        }

        var body = bytes.AsSpan(HeadBytes);
        var setBytes = BinaryPrimitives.ReadInt32LittleEndian(body[24..]);
        var originBytes = version == 1 ? 0 : OriginBytes;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(12)) != Checksum(body) || setBytes != body.Length - 28 - originBytes)
        {
            throw new StoreException(
                $"{path} is damaged: who this replica is and what it has promised is lost with it, so it cannot come back. Empty the directory, and let the replica be replaced");
        }

        Id = new ReplicaId(new Guid(body[..16]));
        Promised = new Epoch(BinaryPrimitives.ReadInt64LittleEndian(body[16..]));
        FirstSet = setBytes == 0 ? null : ReplicaSet.Decode(body.Slice(28, setBytes));
        if (originBytes > 0)
        {
            Inherited = new Position(BinaryPrimitives.ReadInt64LittleEndian(body[^OriginBytes..]));
            Origin = new Guid(body[^16..]);
        }
    }

    private void Write()
    {
        var set = FirstSet?.Encode() ?? [];
        var bytes = new byte[FixedBytes + set.Length + OriginBytes];
        Magic.CopyTo(bytes, 0);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), FormatVersion);
        var body = bytes.AsSpan(HeadBytes);
        Id.Value.TryWriteBytes(body);
        BinaryPrimitives.WriteInt64LittleEndian(body[16..], Promised.Value);
        BinaryPrimitives.WriteInt32LittleEndian(body[24..], set.Length);
        set.CopyTo(body[28..]);
        BinaryPrimitives.WriteInt64LittleEndian(body[^OriginBytes..], Inherited.Value);
        Origin.TryWriteBytes(body[^16..]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Checksum(body));
        WholeFile.Write(_disk, _directory, Name, bytes);
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }
}
