namespace Fabric.ZooKeeper.Jute;

/// <summary>Body of create, create2 and createContainer. <paramref name="Flags"/> is a <see cref="CreateMode"/>.</summary>
internal sealed record CreateRequest(string Path, byte[]? Data, IReadOnlyList<Acl>? Acl, int Flags)
    : IJuteRecord<CreateRequest>
{
    public static CreateRequest Read(ref JuteReader reader) => new(
        reader.ReadRequiredString(), reader.ReadBuffer(), Jute.Acl.ReadList(ref reader), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteBuffer(Data);
        Jute.Acl.WriteList(writer, Acl);
        writer.WriteInt32(Flags);
    }
}

/// <summary>Body of createTTL; <paramref name="Ttl"/> in milliseconds.</summary>
internal sealed record CreateTtlRequest(string Path, byte[]? Data, IReadOnlyList<Acl>? Acl, int Flags, long Ttl)
    : IJuteRecord<CreateTtlRequest>
{
    public static CreateTtlRequest Read(ref JuteReader reader) => new(
        reader.ReadRequiredString(),
        reader.ReadBuffer(),
        Jute.Acl.ReadList(ref reader),
        reader.ReadInt32(),
        reader.ReadInt64());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteBuffer(Data);
        Jute.Acl.WriteList(writer, Acl);
        writer.WriteInt32(Flags);
        writer.WriteInt64(Ttl);
    }
}

/// <summary>Answer of create2, createContainer and createTTL.</summary>
internal sealed record Create2Response(string Path, Stat Stat) : IJuteRecord<Create2Response>
{
    public static Create2Response Read(ref JuteReader reader) => new(reader.ReadRequiredString(), Stat.Read(ref reader));

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        Stat.Write(writer);
    }
}

/// <summary>
/// One path: the request of getACL, sync, getAllChildrenNumber and (as a prefix) getEphemerals; the answer of create and sync.
/// </summary>
internal sealed record PathRecord(string Path) : IJuteRecord<PathRecord>
{
    public static PathRecord Read(ref JuteReader reader) => new(reader.ReadRequiredString());

    public void Write(JuteWriter writer) => writer.WriteString(Path);
}

/// <summary>Request of delete and check.</summary>
/// <param name="Path">The znode.</param>
/// <param name="Version">Expected version; -1 for any.</param>
internal sealed record PathVersionRequest(string Path, int Version) : IJuteRecord<PathVersionRequest>
{
    public static PathVersionRequest Read(ref JuteReader reader) => new(reader.ReadRequiredString(), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteInt32(Version);
    }
}

/// <summary>Request of exists, getData, getChildren and getChildren2.</summary>
internal sealed record PathWatchRequest(string Path, bool Watch) : IJuteRecord<PathWatchRequest>
{
    public static PathWatchRequest Read(ref JuteReader reader) => new(reader.ReadRequiredString(), reader.ReadBoolean());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteBoolean(Watch);
    }
}

/// <summary>Answer of exists, setData and setACL.</summary>
internal sealed record StatResponse(Stat Stat) : IJuteRecord<StatResponse>
{
    public static StatResponse Read(ref JuteReader reader) => new(Stat.Read(ref reader));

    public void Write(JuteWriter writer) => Stat.Write(writer);
}

internal sealed record GetDataResponse(byte[]? Data, Stat Stat) : IJuteRecord<GetDataResponse>
{
    public static GetDataResponse Read(ref JuteReader reader) => new(reader.ReadBuffer(), Stat.Read(ref reader));

    public void Write(JuteWriter writer)
    {
        writer.WriteBuffer(Data);
        Stat.Write(writer);
    }
}

internal sealed record SetDataRequest(string Path, byte[]? Data, int Version) : IJuteRecord<SetDataRequest>
{
    public static SetDataRequest Read(ref JuteReader reader) =>
        new(reader.ReadRequiredString(), reader.ReadBuffer(), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        writer.WriteBuffer(Data);
        writer.WriteInt32(Version);
    }
}

internal sealed record GetAclResponse(IReadOnlyList<Acl>? Acl, Stat Stat) : IJuteRecord<GetAclResponse>
{
    public static GetAclResponse Read(ref JuteReader reader) => new(Jute.Acl.ReadList(ref reader), Stat.Read(ref reader));

    public void Write(JuteWriter writer)
    {
        Jute.Acl.WriteList(writer, Acl);
        Stat.Write(writer);
    }
}

/// <summary>Request of setACL; the version is that of the ACL.</summary>
internal sealed record SetAclRequest(string Path, IReadOnlyList<Acl>? Acl, int Version) : IJuteRecord<SetAclRequest>
{
    public static SetAclRequest Read(ref JuteReader reader) =>
        new(reader.ReadRequiredString(), Jute.Acl.ReadList(ref reader), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(Path);
        Jute.Acl.WriteList(writer, Acl);
        writer.WriteInt32(Version);
    }
}

/// <summary>Answer of getChildren (names) and getEphemerals (paths), unordered.</summary>
internal sealed record StringsResponse(IReadOnlyCollection<string> Values) : IJuteRecord<StringsResponse>
{
    public static StringsResponse Read(ref JuteReader reader) => new(reader.ReadStrings());

    public void Write(JuteWriter writer) => writer.WriteStrings(Values);
}

internal sealed record GetChildren2Response(IReadOnlyCollection<string> Children, Stat Stat)
    : IJuteRecord<GetChildren2Response>
{
    public static GetChildren2Response Read(ref JuteReader reader) => new(reader.ReadStrings(), Stat.Read(ref reader));

    public void Write(JuteWriter writer)
    {
        writer.WriteStrings(Children);
        Stat.Write(writer);
    }
}

/// <summary>One int: the answer of getAllChildrenNumber, and the ErrorResponse of addWatch and of failed multi operations.</summary>
internal sealed record Int32Record(int Value) : IJuteRecord<Int32Record>
{
    public static Int32Record Read(ref JuteReader reader) => new(reader.ReadInt32());

    public void Write(JuteWriter writer) => writer.WriteInt32(Value);
}

/// <summary>Request of reconfig.</summary>
internal sealed record ReconfigRequest(
    string? JoiningServers, string? LeavingServers, string? NewMembers, long CurrentConfigId) : IJuteRecord<ReconfigRequest>
{
    public static ReconfigRequest Read(ref JuteReader reader) =>
        new(reader.ReadString(), reader.ReadString(), reader.ReadString(), reader.ReadInt64());

    public void Write(JuteWriter writer)
    {
        writer.WriteString(JoiningServers);
        writer.WriteString(LeavingServers);
        writer.WriteString(NewMembers);
        writer.WriteInt64(CurrentConfigId);
    }
}
