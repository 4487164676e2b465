using Fabric.Runtime;
using Fabric.Store.Backup;

namespace Fabric.Replication;

/// <summary>
/// Makes a replica of a backup. It gets an identity that no replica had before and belongs to no set: beside a broker that still has its replicas it is refused, and
/// when all are lost, as many of them as the broker has replicas form a new set, of a new store id, when they start (PROTOCOL.md, "Backup and restore").
/// </summary>
public static class RestoredReplica
{
    /// <summary>Copies a backup into a directory and makes a replica of it. The identity is written last, so that a part of a copy is refused at start.</summary>
    /// <param name="runtime">Disk, time and randomness.</param>
    /// <param name="backup">The backup's directory.</param>
    /// <param name="directory">The journal's directory to be; absent or empty.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What was restored, and the new replica.</returns>
    /// <exception cref="DirectoryNotEmptyException">There is something in the directory.</exception>
    /// <exception cref="Fabric.Store.StoreException">The backup is none, or damaged.</exception>
    public static async Task<(BackupManifest Manifest, ReplicaId Replica)> CreateAsync(
        FabricRuntime runtime, string backup, string directory, CancellationToken cancellationToken)
    {
        var manifest = await new JournalBackup(runtime).CopyBackAsync(backup, directory, cancellationToken);
        var bytes = new byte[16];
        runtime.Random.NextBytes(bytes);
        var id = new Guid(bytes);
        ReplicaStateFile.CreateRestored(runtime.Disk, directory, id, manifest.End, manifest.Id);
        return (manifest, new ReplicaId(id));
    }
}
