using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Disk;

/// <summary>
/// A host's disk: names and contents as processes see them, and as they would be after a loss of power. It outlives processes and can misbehave.
/// </summary>
internal sealed class DiskState
{
    private readonly World _world;
    private readonly Random _random;
    private readonly List<(string Directory, Action<SortedDictionary<string, FileContent>> Change)> _pendingNames = [];
    private readonly HashSet<string> _locks = [];
    private readonly HashSet<FileContent> _rotten = [];
    private SortedDictionary<string, FileContent> _names = new(StringComparer.Ordinal);
    private SortedDictionary<string, FileContent> _durableNames = new(StringComparer.Ordinal);

    public DiskState(World world, string name)
    {
        _world = world;
        _random = world.RandomFor($"disk {name}");
        SyncTime = TimeSpan.FromMicroseconds(50 * Math.Pow(400, _random.NextDouble())); // 50 µs to 20 ms
    }

    /// <summary>Usual time of a sync.</summary>
    public TimeSpan SyncTime { get; set; }

    /// <summary>Calls that reach the disk before this moment end only then.</summary>
    public TimeSpan HangsUntil { get; set; }

    /// <summary>Bytes that all files together may have.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    /// <summary>Told of each sync of a file that begins.</summary>
    public Action<string> Syncing { get; set; } = _ => { };

    /// <summary>The number of syncs after which one fails; negative for never.</summary>
    public int FailsSyncAfter { get; set; } = -1;

    public long Used => _names.Values.Distinct().Sum(content => content.Length);

    public IEnumerable<string> Paths => _names.Keys;

    public FileContent? Find(string path) => _names.GetValueOrDefault(path);

    /// <summary>Files whose names would survive a loss of power.</summary>
    public IReadOnlyDictionary<string, FileContent> DurableFiles => _durableNames;

    public FileContent? FindDurable(string path) => _durableNames.GetValueOrDefault(path);

    /// <summary>How long the next call takes.</summary>
    /// <param name="isSync">Whether it waits for the platter.</param>
    public TimeSpan NextTime(bool isSync)
    {
        var time = isSync
            ? SyncTime * (0.5 + _random.NextDouble()) * (_random.Next(200) == 0 ? 20 : 1)
            : TimeSpan.FromMicroseconds(_random.Next(1, 30));
        return _world.Now + time < HangsUntil ? HangsUntil - _world.Now : time;
    }

    /// <summary>Whether a call that is no sync takes time at all: often not, so that a world is quick.</summary>
    public bool TakesTime() => HangsUntil > _world.Now || _random.Next(4) == 0;

    /// <summary>Whether this sync fails.</summary>
    public bool TakeSyncFailure()
    {
        if (FailsSyncAfter < 0)
        {
            return false;
        }

        return FailsSyncAfter-- == 0;
    }

    public void Change(string directory, Action<SortedDictionary<string, FileContent>> change)
    {
        change(_names);
        _pendingNames.Add((directory, change));
    }

    public void SyncNames(string directory)
    {
        foreach (var (_, change) in _pendingNames.Where(pending => pending.Directory == directory))
        {
            change(_durableNames);
        }

        _pendingNames.RemoveAll(pending => pending.Directory == directory);
    }

    public bool Lock(string directory) => _locks.Add(directory);

    public void Unlock(string directory) => _locks.Remove(directory);

    public void OnProcessEnded() => _locks.Clear();

    /// <summary>What was not synced is kept, lost or torn, at random.</summary>
    public void LosePower()
    {
        foreach (var (_, change) in _pendingNames.Take(_random.Next(_pendingNames.Count + 1)))
        {
            change(_durableNames); // a file system keeps the order of its own changes
        }

        _pendingNames.Clear();
        _names = new SortedDictionary<string, FileContent>(_durableNames, StringComparer.Ordinal);
        foreach (var content in _names.Values.Distinct())
        {
            content.LosePower(_random);
        }
    }

    /// <summary>Whether something that was synced has changed by itself and is still there, or is missing beside what is still there.</summary>
    public bool IsRotten => Rots > 0;

    /// <summary>How often that happened since all was as it should be.</summary>
    public int Rots
    {
        get
        {
            if (field > 0 && !_names.Values.Any(_rotten.Contains) && !_durableNames.Values.Any(_rotten.Contains))
            {
                _rotten.Clear();
                field = 0;
            }

            return field;
        }

        private set;
    }

    /// <summary>Lets something of a journal change by itself.</summary>
    /// <returns>What happened.</returns>
    public string Rot(Decay decay)
    {
        var files = _names.Where(pair => pair.Value.Length > 0 && (decay == Decay.Checkpoint
            ? pair.Key.Contains("/checkpoint-", StringComparison.Ordinal)
            : pair.Key.EndsWith(".seg", StringComparison.Ordinal) && (decay != Decay.File || pair.Key.Contains("/journal-", StringComparison.Ordinal)))).ToList();
        for (var attempt = 0; files.Count > 0 && attempt < 1000; attempt++)
        {
            var (path, content) = files[_random.Next(files.Count)];
            var offset = _random.NextInt64(content.Length);
            switch (decay)
            {
                case Decay.Bit or Decay.Checkpoint when content.TryRot(offset, (byte)(1 << _random.Next(8))):
                    Rots++;
                    _rotten.Add(content);
                    return $"a bit of {path} has rotted";
                case Decay.Stale when content.TryGoStale(offset):
                    Rots++;
                    _rotten.Add(content);
                    return $"a sector of {path} has lost its last write";
                case Decay.File when _durableNames.ContainsKey(path) && files.Count > 1:
                    _names.Remove(path);
                    _durableNames.Remove(path);
                    Rots++;
                    _rotten.UnionWith(files.Select(file => file.Value));
                    return $"{path} is gone";
                default:
                    break;
            }
        }

        return "nothing is there to rot";
    }

    /// <summary>Ends its misbehaviour. A call that hangs ends when it was to end.</summary>
    public void Heal()
    {
        SyncTime = TimeSpan.FromMicroseconds(300);
        HangsUntil = TimeSpan.Zero;
        FailsSyncAfter = -1;
        Capacity = long.MaxValue;
    }

    /// <summary>What is on it at present, to be put back later.</summary>
    public IReadOnlyDictionary<string, FileContent> Copy() => _names.ToDictionary(pair => pair.Key, pair => pair.Value.Clone());

    /// <summary>Puts an old copy in the place of everything.</summary>
    public void PutBack(IReadOnlyDictionary<string, FileContent> copy)
    {
        Wipe();
        foreach (var (name, content) in copy)
        {
            _names[name] = _durableNames[name] = content.Clone();
        }
    }

    /// <summary>Everything on it is gone, as with a new disk.</summary>
    public void Wipe()
    {
        _names.Clear();
        _durableNames = new SortedDictionary<string, FileContent>(StringComparer.Ordinal);
        _pendingNames.Clear();
        Rots = 0;
    }
}

/// <summary>A file's bytes, as processes see them and as the platter has them.</summary>
internal sealed class FileContent
{
    private const int SectorBytes = 512;

    private readonly HashSet<long> _dirtySectors = [];
    private byte[] _current = [];
    private byte[] _durable = [];
    private byte[] _before = []; // what each sector of the platter was before its last write
    private int _length;
    private int _durableLength;

    public long Length => _length;

    /// <summary>How much would be left after a loss of power that loses all it can.</summary>
    public long DurableLength => _durableLength;

    public int Read(Span<byte> buffer, long offset)
    {
        var count = (int)Math.Clamp(_length - offset, 0, buffer.Length);
        _current.AsSpan((int)Math.Min(offset, _length), count).CopyTo(buffer);
        return count;
    }

    /// <summary>Reads what would be left after a loss of power that loses all it can.</summary>
    public int ReadDurable(Span<byte> buffer, long offset)
    {
        var count = (int)Math.Clamp(_durableLength - offset, 0, buffer.Length);
        _durable.AsSpan((int)Math.Min(offset, _durableLength), count).CopyTo(buffer);
        return count;
    }

    public void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        if (_length < offset + bytes.Length)
        {
            SetLength(offset + bytes.Length);
        }

        bytes.CopyTo(_current.AsSpan((int)offset));
        for (var sector = offset / SectorBytes; sector * SectorBytes < offset + bytes.Length; sector++)
        {
            _dirtySectors.Add(sector);
        }
    }

    public void SetLength(long length)
    {
        for (var sector = Math.Min(length, _length) / SectorBytes; sector * SectorBytes < Math.Max(length, _length); sector++)
        {
            _dirtySectors.Add(sector);
        }

        if (length > _current.Length)
        {
            Array.Resize(ref _current, (int)Math.Max(length, _current.Length * 2L));
        }
        else if (length < _length)
        {
            _current.AsSpan((int)length, _length - (int)length).Clear();
        }

        _length = (int)length;
    }

    public void Sync()
    {
        Array.Resize(ref _durable, _current.Length);
        _durableLength = _length;
        foreach (var sector in _dirtySectors)
        {
            Persist(sector);
        }

        _dirtySectors.Clear();
    }

    /// <summary>A sync that fails: some of it is on the platter, and the kernel forgets which pages were dirty.</summary>
    public void FailSync(Random random)
    {
        Array.Resize(ref _durable, _current.Length);
        _durableLength = Math.Max(_length, _durableLength);
        foreach (var sector in _dirtySectors.Order())
        {
            if (random.Next(2) == 0)
            {
                Persist(sector);
            }
        }

        _dirtySectors.Clear();
    }

    /// <summary>Each sector that was not synced is there or not; sometimes all of them are of one kind.</summary>
    public void LosePower(Random random)
    {
        var kept = random.Next(4) switch { 0 => 0.0, 1 => 1.0, _ => random.NextDouble() };
        var length = random.NextDouble() < kept ? _length : _durableLength;
        Array.Resize(ref _durable, Math.Max(_durable.Length, _current.Length));
        foreach (var sector in _dirtySectors.Order())
        {
            if (random.NextDouble() < kept)
            {
                Persist(sector);
            }
        }

        if (length < _durable.Length)
        {
            _durable.AsSpan(length).Clear();
        }

        _current = [.. _durable];
        _length = _durableLength = length;
        _dirtySectors.Clear();
    }

    /// <summary>A file with the same bytes, all of them synced.</summary>
    public FileContent Clone()
    {
        var clone = new FileContent();
        clone.Write(_current.AsSpan(0, _length), 0);
        clone.Sync();
        return clone;
    }

    /// <summary>Changes a byte of what is on the platter, if it is and something else than zero was written there.</summary>
    public bool TryRot(long offset, byte mask)
    {
        if (offset >= _durableLength || _durable[offset] == 0 || _dirtySectors.Contains(offset / SectorBytes))
        {
            return false;
        }

        _current[offset] ^= mask;
        _durable[offset] ^= mask;
        return true;
    }

    /// <summary>Undoes the last write of a sector of the platter, if there was one that changed it.</summary>
    public bool TryGoStale(long offset)
    {
        var sector = offset / SectorBytes;
        var start = (int)(sector * SectorBytes);
        var count = Math.Min(SectorBytes, Math.Min(_before.Length, _durableLength) - start);
        if (count <= 0 || _dirtySectors.Contains(sector) || _before.AsSpan(start, count).SequenceEqual(_durable.AsSpan(start, count)))
        {
            return false;
        }

        _before.AsSpan(start, count).CopyTo(_durable.AsSpan(start));
        _before.AsSpan(start, count).CopyTo(_current.AsSpan(start));
        return true;
    }

    private void Persist(long sector)
    {
        var start = (int)Math.Min(sector * SectorBytes, _current.Length);
        var count = Math.Min(SectorBytes, Math.Min(_current.Length, _durable.Length) - start);
        if (count > 0)
        {
            if (_before.Length < _durable.Length)
            {
                Array.Resize(ref _before, _durable.Length);
            }

            _durable.AsSpan(start, count).CopyTo(_before.AsSpan(start));
            _current.AsSpan(start, count).CopyTo(_durable.AsSpan(start));
        }
    }
}

/// <summary>How a disk loses what it had.</summary>
internal enum Decay
{
    /// <summary>A bit of a segment changes.</summary>
    Bit,

    /// <summary>A sector of a segment is what it was before its last write.</summary>
    Stale,

    /// <summary>A bit of a checkpoint changes.</summary>
    Checkpoint,

    /// <summary>A segment is gone.</summary>
    File,
}
