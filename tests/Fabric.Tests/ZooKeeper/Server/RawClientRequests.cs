using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>The few requests that nearly every test needs; each must succeed.</summary>
internal static class RawClientRequests
{
    public static async Task<string> CreateAsync(
        this RawClient client, string path, byte[]? data = null, CreateMode mode = CreateMode.Persistent)
    {
        var reply = await client.RequestAsync(OpCode.Create, Create(path, data, mode));
        Assert.That(reply.Error, Is.EqualTo(ZooKeeperError.Ok), path);
        return reply.Read<PathRecord>().Path;
    }

    public static async Task<Stat> SetDataAsync(this RawClient client, string path, byte[] data)
    {
        var reply = await client.RequestAsync(OpCode.SetData, new SetDataRequest(path, data, -1));
        Assert.That(reply.Error, Is.EqualTo(ZooKeeperError.Ok), path);
        return reply.Read<StatResponse>().Stat;
    }

    public static async Task DeleteAsync(this RawClient client, string path)
    {
        var reply = await client.RequestAsync(OpCode.Delete, new PathVersionRequest(path, -1));
        Assert.That(reply.Error, Is.EqualTo(ZooKeeperError.Ok), path);
    }

    public static async Task<Stat?> ExistsAsync(this RawClient client, string path, bool watch = false)
    {
        var reply = await client.RequestAsync(OpCode.Exists, new PathWatchRequest(path, watch));
        return reply.Error == ZooKeeperError.Ok ? reply.Read<StatResponse>().Stat : null;
    }

    public static async Task<byte[]?> GetDataAsync(this RawClient client, string path)
    {
        var reply = await client.RequestAsync(OpCode.GetData, new PathWatchRequest(path, false));
        Assert.That(reply.Error, Is.EqualTo(ZooKeeperError.Ok), path);
        return reply.Read<GetDataResponse>().Data;
    }

    public static async Task<string[]> GetChildrenAsync(this RawClient client, string path)
    {
        var reply = await client.RequestAsync(OpCode.GetChildren, new PathWatchRequest(path, false));
        Assert.That(reply.Error, Is.EqualTo(ZooKeeperError.Ok), path);
        return [.. reply.Read<StringsResponse>().Values.Order(StringComparer.Ordinal)];
    }

    public static CreateRequest Create(string path, byte[]? data = null, CreateMode mode = CreateMode.Persistent) =>
        new(path, data ?? [], [.. WellKnownAcls.OpenUnsafe], (int)mode);
}
