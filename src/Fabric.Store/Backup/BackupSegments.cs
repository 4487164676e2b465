using System.Security.Cryptography;
using Fabric.Runtime.Disk;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Backup;

/// <summary>
/// Writes the records that an inspection reads into segments of a backup, cut where the original's are and no longer than what is in them. A record's bytes follow
/// from its position, kind, flags and body, so they come out as they were.
/// </summary>
internal sealed class BackupSegments(IDisk disk, string directory) : IJournalVisitor, IDisposable
{
    private const int BufferBytes = 1024 * 1024;

    private readonly List<string> _names = [];
    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _buffered;
    private IDiskFile? _file;
    private Position _first;
    private Position? _at;

    /// <summary>Names of the finished files.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>Up to where it has all records; null before the first segment.</summary>
    public Position? End => _at;

    public void OnSegment(SegmentInfo segment)
    {
        Finish(isLast: false);
        if (_at is { } at && at != segment.First)
        {
            throw new BackupOverrunException();
        }

        _first = segment.First;
        _at = segment.First;
        _file = disk.Open(Path.Combine(directory, StoreFileNames.Segment(_first)), DiskFileMode.CreateNew);
    }

    public void OnRecord(in JournalRecord record)
    {
        if (record.Position != _at)
        {
            throw new BackupOverrunException();
        }

        Span<byte> header = stackalloc byte[RecordFormat.HeaderBytes];
        RecordFormat.WriteHeader(header, record.Position, record.Kind, record.Flags, record.Body.Length, Checksum.Append(Checksum.Start, record.Body));
        Add(header);
        Add(record.Body);
        _at = record.End;
    }

    /// <summary>Finishes the segment that is being written: its header, and the mark of an orderly end behind the last record of all.</summary>
    public void Finish(bool isLast)
    {
        if (_file is null || _at is not { } end)
        {
            return;
        }

        Spill();
        Span<byte> page = stackalloc byte[SegmentHeader.Bytes];
        new SegmentHeader(_first, Math.Max(1, end - _first), null).Write(page);
        _file.Write(page, 0);
        Span<byte> mark = stackalloc byte[SyncMark.Bytes];
        new SyncMark(end, end, end, Closed: isLast).Write(mark);
        _file.Write(mark, SegmentHeader.Bytes + (end - _first));
        _file.SetLength(Segment.FileBytes(Math.Max(1, end - _first)));
        _file.Sync();
        _file.Dispose();
        _file = null;
        _names.Add(StoreFileNames.Segment(_first));
    }

    public void Dispose() => _file?.Dispose();

    private void Add(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > BufferBytes - _buffered)
        {
            Spill();
        }

        if (bytes.Length > BufferBytes)
        {
            _file!.Write(bytes, _file.Length);
            return;
        }

        bytes.CopyTo(_buffer.AsSpan(_buffered));
        _buffered += bytes.Length;
    }

    private void Spill()
    {
        if (_buffered > 0)
        {
            _file!.Write(_buffer.AsSpan(0, _buffered), Math.Max(_file.Length, SegmentHeader.Bytes));
            _buffered = 0;
        }
    }
}

/// <summary>The broker cleaned away what was about to be copied; a newer checkpoint makes up for it, so begin again.</summary>
internal sealed class BackupOverrunException() : Exception("the journal was cleaned faster than it was copied");

/// <summary>Copies and checksums files of backups.</summary>
internal static class BackupFiles
{
    private const int BufferBytes = 1024 * 1024;

    /// <summary>Reads a file to its end, into a copy when one is wanted.</summary>
    public static BackupFile Read(IDisk disk, string path, IDiskFile? copy)
    {
        using var file = disk.Open(path, DiskFileMode.Read);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BufferBytes];
        long offset = 0;
        for (int count; (count = file.Read(buffer, offset)) > 0; offset += count)
        {
            hash.AppendData(buffer, 0, count);
            copy?.Write(buffer.AsSpan(0, count), offset);
        }

        copy?.Sync();
        return new BackupFile(Path.GetFileName(path), offset, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
