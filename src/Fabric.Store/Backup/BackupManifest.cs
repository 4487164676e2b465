using System.Globalization;
using System.Text.Json;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;

namespace Fabric.Store.Backup;

/// <summary>A file of a backup.</summary>
/// <param name="Name">Its name in the backup's directory.</param>
/// <param name="Bytes">Its length, in bytes.</param>
/// <param name="Sha256">Its SHA-256, 64 hex digits.</param>
public sealed record BackupFile(string Name, long Bytes, string Sha256);

/// <summary>What a backup says of itself: the file <see cref="FileName"/>, which is written last and makes it one.</summary>
/// <param name="Id">Its identity; replicas that are restored from it form a set with each other only.</param>
/// <param name="Created">When it was made, UTC.</param>
/// <param name="First">The first position in it.</param>
/// <param name="End">The committed position that it was cut at.</param>
/// <param name="Epoch">The epoch of its last record.</param>
/// <param name="Records">How many records it holds.</param>
/// <param name="Files">Its segments and its checkpoint.</param>
public sealed record BackupManifest(
    Guid Id, DateTimeOffset Created, Position First, Position End, Epoch Epoch, long Records, IReadOnlyList<BackupFile> Files)
{
    /// <summary>Name of the file in a backup's directory.</summary>
    public const string FileName = "backup.json";

    private const int Format = 1;
    private const int BytesMax = 16 * 1024 * 1024;
    private static readonly JsonWriterOptions Indented = new() { Indented = true };

    /// <summary>Reads the manifest of a directory.</summary>
    /// <exception cref="StoreException">It is no backup, one that was not finished, a damaged one or one of a later version.</exception>
    public static BackupManifest Read(IDisk disk, string directory)
    {
        var path = Path.Combine(directory, FileName);
        if (!disk.FileExists(path))
        {
            throw new StoreException($"{directory} is no backup, or one that was not finished: it has no {FileName}");
        }

        try
        {
            using var file = disk.Open(path, DiskFileMode.Read);
            var bytes = new byte[Math.Min(file.Length, BytesMax)];
            using var json = JsonDocument.Parse(bytes.AsMemory(0, file.Read(bytes, 0)));
            return Read(json.RootElement, path);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or KeyNotFoundException or InvalidOperationException)
        {
            throw new StoreException($"{path} is damaged: {exception.Message}", exception);
        }
    }

    /// <summary>Writes it so that it is there whole or not at all, and with it everything that was synced before.</summary>
    internal void Write(IDisk disk, string directory) => WholeFile.Write(disk, directory, FileName, Encode());

    private static BackupManifest Read(JsonElement root, string path)
    {
        var format = root.GetProperty("format").GetUInt32();
        if (format != Format)
        {
            throw new NewerFormatException(path, format, Format);
        }

        return new BackupManifest(
            root.GetProperty("id").GetGuid(),
            root.GetProperty("created").GetDateTimeOffset(),
            new Position(root.GetProperty("first").GetInt64()),
            new Position(root.GetProperty("end").GetInt64()),
            new Epoch(root.GetProperty("epoch").GetInt64()),
            root.GetProperty("records").GetInt64(),
            [.. root.GetProperty("files").EnumerateArray().Select(file => new BackupFile(
                NameOf(file.GetProperty("name").GetString()), file.GetProperty("bytes").GetInt64(), file.GetProperty("sha256").GetString() ?? ""))]);
    }

    /// <summary>A name, never a path: what is restored stays in its directory.</summary>
    private static string NameOf(string? name) => name is { Length: > 0 } && name == Path.GetFileName(name) && name[0] != '.'
        ? name
        : throw new FormatException($"'{name}' is no name of a file");

    private byte[] Encode()
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Indented))
        {
            writer.WriteStartObject();
            writer.WriteNumber("format", Format);
            writer.WriteString("id", Id);
            writer.WriteString("created", Created.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture));
            writer.WriteNumber("first", First.Value);
            writer.WriteNumber("end", End.Value);
            writer.WriteNumber("epoch", Epoch.Value);
            writer.WriteNumber("records", Records);
            writer.WriteStartArray("files");
            foreach (var file in Files)
            {
                writer.WriteStartObject();
                writer.WriteString("name", file.Name);
                writer.WriteNumber("bytes", file.Bytes);
                writer.WriteString("sha256", file.Sha256);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
