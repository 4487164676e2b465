namespace Fabric.ZooKeeper.Jute;

/// <summary>Before every operation and result of a multi, and alone at its end (reference §1.12).</summary>
internal readonly record struct MultiHeader(OpCode Type, bool Done, int Error) : IJuteRecord<MultiHeader>
{
    public const int EncodedLength = 9;

    /// <summary>Closes the list.</summary>
    public static MultiHeader End { get; } = new(OpCode.Error, true, -1);

    public static MultiHeader Read(ref JuteReader reader) =>
        new((OpCode)reader.ReadInt32(), reader.ReadBoolean(), reader.ReadInt32());

    public void Write(JuteWriter writer)
    {
        writer.WriteInt32((int)Type);
        writer.WriteBoolean(Done);
        writer.WriteInt32(Error);
    }
}

/// <summary>
/// One operation of a multi: <see cref="CreateRequest"/>, <see cref="CreateTtlRequest"/>, <see cref="SetDataRequest"/> or
/// <see cref="PathVersionRequest"/> (delete, check); of a multiRead: <see cref="PathWatchRequest"/>.
/// </summary>
internal readonly record struct MultiOperation(OpCode Type, IJuteRecord Body);

/// <summary>
/// Request of multi and multiRead:
/// <code>
/// (MultiHeader type,0,-1  request record)*  MultiHeader -1,1,-1
/// </code>
/// </summary>
internal sealed record MultiRequest(IReadOnlyList<MultiOperation> Operations) : IJuteRecord<MultiRequest>
{
    public static MultiRequest Read(ref JuteReader reader)
    {
        var operations = new List<MultiOperation>();
        while (true)
        {
            var header = MultiHeader.Read(ref reader);
            if (header.Done)
            {
                return new MultiRequest(operations);
            }

            operations.Add(new MultiOperation(header.Type, ReadBody(header.Type, ref reader)));
        }
    }

    public void Write(JuteWriter writer)
    {
        foreach (var operation in Operations)
        {
            new MultiHeader(operation.Type, false, -1).Write(writer);
            operation.Body.Write(writer);
        }

        MultiHeader.End.Write(writer);
    }

    private static IJuteRecord ReadBody(OpCode type, ref JuteReader reader) => type switch
    {
        OpCode.Create or OpCode.Create2 or OpCode.CreateContainer => CreateRequest.Read(ref reader),
        OpCode.CreateTtl => CreateTtlRequest.Read(ref reader),
        OpCode.Delete or OpCode.Check => PathVersionRequest.Read(ref reader),
        OpCode.SetData => SetDataRequest.Read(ref reader),
        OpCode.GetData or OpCode.GetChildren => PathWatchRequest.Read(ref reader),
        _ => throw new JuteException($"the operation {(int)type} is not allowed in a multi"),
    };
}

/// <summary>
/// One result. <paramref name="Body"/> is <see cref="PathRecord"/> (create), <see cref="Create2Response"/> (create2),
/// <see cref="StatResponse"/> (setData), <see cref="GetDataResponse"/>, <see cref="StringsResponse"/> (getChildren),
/// <see cref="Int32Record"/> (type -1: the operation failed or was not tried), or null (delete, check).
/// </summary>
internal readonly record struct MultiResult(OpCode Type, ZooKeeperError Error, IJuteRecord? Body)
{
    /// <summary>The result of an operation that failed, or of a neighbour of one.</summary>
    public static MultiResult Failed(ZooKeeperError error) => new(OpCode.Error, error, new Int32Record((int)error));
}

/// <summary>
/// Answer of multi and multiRead:
/// <code>
/// (MultiHeader type,0,err  response record)*  MultiHeader -1,1,-1
/// </code>
/// </summary>
internal sealed record MultiResponse(IReadOnlyList<MultiResult> Results) : IJuteRecord<MultiResponse>
{
    public static MultiResponse Read(ref JuteReader reader)
    {
        var results = new List<MultiResult>();
        while (true)
        {
            var header = MultiHeader.Read(ref reader);
            if (header.Done)
            {
                return new MultiResponse(results);
            }

            results.Add(new MultiResult(header.Type, (ZooKeeperError)header.Error, ReadBody(header.Type, ref reader)));
        }
    }

    public void Write(JuteWriter writer)
    {
        foreach (var result in Results)
        {
            new MultiHeader(result.Type, false, (int)result.Error).Write(writer);
            result.Body?.Write(writer);
        }

        MultiHeader.End.Write(writer);
    }

    private static IJuteRecord? ReadBody(OpCode type, ref JuteReader reader) => type switch
    {
        OpCode.Create => PathRecord.Read(ref reader),
        OpCode.Create2 => Create2Response.Read(ref reader),
        OpCode.Delete or OpCode.Check => null,
        OpCode.SetData => StatResponse.Read(ref reader),
        OpCode.GetData => GetDataResponse.Read(ref reader),
        OpCode.GetChildren => StringsResponse.Read(ref reader),
        OpCode.Error => Int32Record.Read(ref reader),
        _ => throw new JuteException($"a multi result of type {(int)type}"),
    };
}
