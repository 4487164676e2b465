namespace Fabric.ZooKeeper.Jute;

/// <summary>Request of checkWatches and removeWatches; <paramref name="Type"/> is a <see cref="WatcherType"/>.</summary>
internal sealed record RemoveWatchesRequest(string Path, int Type) : IJuteRecord<RemoveWatchesRequest>
{
    public static RemoveWatchesRequest Read(ref JuteReader reader) => new(reader.ReadRequiredString(), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteInt32(Type);
    }
}

/// <summary>Request of addWatch; <paramref name="Mode"/> is an <see cref="AddWatchMode"/>.</summary>
internal sealed record AddWatchRequest(string Path, int Mode) : IJuteRecord<AddWatchRequest>
{
    public static AddWatchRequest Read(ref JuteReader reader) => new(reader.ReadRequiredString(), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteInt32(Mode);
    }
}

/// <summary>Arms one-shot watches again after a re-attach; what was missed since the zxid fires at once (3.2).</summary>
internal sealed record SetWatchesRequest(
    long RelativeZxid,
    IReadOnlyCollection<string> DataWatches,
    IReadOnlyCollection<string> ExistWatches,
    IReadOnlyCollection<string> ChildWatches) : IJuteRecord<SetWatchesRequest>
{
    public static SetWatchesRequest Read(ref JuteReader reader) =>
        new(reader.ReadInt64(), reader.ReadStrings(), reader.ReadStrings(), reader.ReadStrings());

    public void Write(JuteWriter writer)
    {
        writer.WriteInt64(RelativeZxid);
        writer.WriteStrings(DataWatches);
        writer.WriteStrings(ExistWatches);
        writer.WriteStrings(ChildWatches);
    }
}

/// <summary>The same with persistent watches, for which nothing fires (3.6).</summary>
internal sealed record SetWatches2Request(
    SetWatchesRequest OneShot,
    IReadOnlyCollection<string> PersistentWatches,
    IReadOnlyCollection<string> PersistentRecursiveWatches) : IJuteRecord<SetWatches2Request>
{
    public static SetWatches2Request Read(ref JuteReader reader) =>
        new(SetWatchesRequest.Read(ref reader), reader.ReadStrings(), reader.ReadStrings());

    public void Write(JuteWriter writer)
    {
        OneShot.Write(writer);
        writer.WriteStrings(PersistentWatches);
        writer.WriteStrings(PersistentRecursiveWatches);
    }
}

/// <summary>An event, after a <see cref="ReplyHeader"/> with <see cref="SpecialXid.Notification"/>.</summary>
internal sealed record WatcherEvent(WatchEventType Type, KeeperState State, string Path) : IJuteRecord<WatcherEvent>
{
    public static WatcherEvent Read(ref JuteReader reader) =>
        new((WatchEventType)reader.ReadInt32(), (KeeperState)reader.ReadInt32(), reader.ReadRequiredString());

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32((int)Type);
        writer.WriteInt32((int)State);
        writer.WriteString(Path);
    }
}
