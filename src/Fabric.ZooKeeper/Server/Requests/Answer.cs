using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>Outcome of a request: an error, or success with an optional record.</summary>
internal readonly record struct Answer(ZooKeeperError Error, IJuteRecord? Record)
{
    public static Answer Done => new(ZooKeeperError.Ok, null);

    public static implicit operator Answer(ZooKeeperError error) => new(error, null);

    public static Answer Of(IJuteRecord record) => new(ZooKeeperError.Ok, record);
}
