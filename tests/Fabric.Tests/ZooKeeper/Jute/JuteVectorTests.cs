using System.Text.Json.Nodes;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Jute;

/// <summary>The codec against bytes of Apache ZooKeeper and its Java client.</summary>
internal sealed class JuteVectorTests
{
    private static readonly string[] Files = ["connect", "create", "data", "watch", "multi", "auth", "reconnect", "chroot", "read-only"];

    private delegate IJuteRecord Decoder(ref JuteReader reader);

    private static IEnumerable<RecordedExchange> Exchanges => VectorFile.Exchanges(Files);

    private static IEnumerable<TestCaseData> Primitives => VectorFile.Load("jute-primitives")["values"]!.AsArray()
        .Where(value => (string)value!["type"]! is not ("float" or "double" or "map<ustring,int>")) // no record of the protocol has them
        .Select(value => new TestCaseData((string)value!["type"]!, value["value"], (string)value["hex"]!));

    [TestCaseSource(nameof(Exchanges))]
    public void Every_recorded_frame_is_read_and_written_the_same(RecordedExchange exchange)
    {
        foreach (var frame in exchange.Frames)
        {
            Check(frame);
        }
    }

    [TestCaseSource(nameof(Primitives))]
    public void Primitives_are_those_of_jute(string type, JsonNode? value, string hex)
    {
        using var buffer = new JuteBuffer();
        var writer = new JuteWriter(buffer);
        var reader = new JuteReader(Convert.FromHexString(hex));
        switch (type)
        {
            case "boolean":
                Assert.That(reader.ReadBoolean(), Is.EqualTo((bool)value!));
                writer.WriteBoolean((bool)value!);
                break;
            case "byte":
                Assert.That((sbyte)reader.ReadByte(), Is.EqualTo((sbyte)value!));
                writer.WriteByte((byte)(sbyte)value!);
                break;
            case "int":
                Assert.That(reader.ReadInt32(), Is.EqualTo((int)value!));
                writer.WriteInt32((int)value!);
                break;
            case "long":
                var number = long.Parse((string)value!, System.Globalization.CultureInfo.InvariantCulture);
                Assert.That(reader.ReadInt64(), Is.EqualTo(number));
                writer.WriteInt64(number);
                break;
            case "buffer":
                var bytes = value is null ? null : Convert.FromHexString((string)value!);
                Assert.That(reader.ReadBuffer(), Is.EqualTo(bytes));
                writer.WriteBuffer(bytes);
                break;
            case "ustring" when ((string?)value)?.Any(char.IsSurrogate) == true:
                // Java writes the two halves one by one, which is not UTF-8; it is read leniently, and written properly.
                Assert.That(reader.ReadString(), Is.EqualTo(new string('\ufffd', 6)));
                return;
            case "ustring":
                Assert.That(reader.ReadString(), Is.EqualTo((string?)value));
                writer.WriteString((string?)value);
                break;
            case "vector<ustring>" when value is null:
                Assert.That(reader.ReadStrings(), Is.Empty);
                return;
            case "vector<ustring>":
                string[] strings = [.. value.AsArray().Select(item => (string)item!)];
                Assert.That(reader.ReadStrings(), Is.EqualTo(strings));
                writer.WriteStrings(strings);
                break;
            default:
                Assert.Fail($"{type} is not tested");
                break;
        }

        Assert.That((reader.Remaining, Convert.ToHexStringLower(buffer.Written)), Is.EqualTo((0, hex)));
    }

    [Test]
    public void Digest_identities_are_those_the_server_confirmed()
    {
        var values = VectorFile.Load("acl-digest")["values"]!.AsArray();
        Assert.That(
            values.Select(value => DigestAuthentication.CreateId((string)value!["authPacketText"]!)),
            Is.EqualTo(values.Select(value => new Id("digest", (string)value!["aclId"]!))));
    }

    [TestCase("a buffer longer than the frame", "7fffffff00")]
    [TestCase("a buffer of a length below -1", "fffffffe")]
    [TestCase("a frame that ends in the length", "0000")]
    public void Is_refused(string what, string hex) =>
        Assert.That(() => { var reader = new JuteReader(Convert.FromHexString(hex)); reader.ReadBuffer(); }, Throws.TypeOf<JuteException>(), what);

    [Test]
    public void A_vector_that_cannot_fit_is_refused_before_anything_is_allocated() => Assert.That(
        () => { var reader = new JuteReader(Convert.FromHexString("7fffffff00000001")); reader.ReadStrings(); },
        Throws.TypeOf<JuteException>());

    private static void Check(RecordedFrame frame)
    {
        var content = frame.Bytes.AsSpan(JuteFrame.HeaderLength);
        switch (frame.Decoded["kind"]?.GetValue<string>())
        {
            case "ConnectRequest":
                CheckConnect(frame, ConnectRequest.Read, (ConnectRequest r) => (r.ProtocolVersion, r.TimeOut, r.SessionId, r.Password, r.ReadOnly));
                break;
            case "ConnectResponse":
                CheckConnect(frame, ConnectResponse.Read, (ConnectResponse r) => (r.ProtocolVersion, r.TimeOut, r.SessionId, r.Password, r.ReadOnly));
                break;
            case "Request" when frame.Decoded["malformed"] is not null:
                break;
            case "Request":
                CheckRequest(frame, content);
                break;
            case "Reply":
                CheckReply(frame, content);
                break;
            case "WatcherEvent":
                CheckEvent(frame, content);
                break;
            default:
                Assert.Fail($"{frame.Decoded["kind"]} is not tested");
                break;
        }
    }

    private static void CheckConnect<T>(
        RecordedFrame frame, Decoder decode, Func<T, (int Version, int TimeOut, long Session, byte[]? Password, bool? ReadOnly)> fields)
        where T : IJuteRecord
    {
        var reader = new JuteReader(frame.Bytes.AsSpan(JuteFrame.HeaderLength));
        var record = (T)decode(ref reader);
        var (version, timeOut, session, password, readOnly) = fields(record);
        Assert.That(
            (version, timeOut, $"0x{session:x16}", Convert.ToHexStringLower(password ?? []), readOnly == true),
            Is.EqualTo((
                (int)frame.Decoded["protocolVersion"]!,
                (int)frame.Decoded["timeOut"]!,
                (string)frame.Decoded["sessionId"]!,
                (string)frame.Decoded["passwdHex"]!,
                (bool?)frame.Decoded["readOnly"] == true)));
        AssertWritten(frame, reader.Remaining, record);
    }

    private static void CheckRequest(RecordedFrame frame, ReadOnlySpan<byte> content)
    {
        var reader = new JuteReader(content);
        var header = RequestHeader.Read(ref reader);
        Assert.That((header.Xid, (int)header.Type), Is.EqualTo(((int)frame.Decoded["xid"]!, (int)frame.Decoded["type"]!)));
        if (frame.Operation is not { } operation)
        {
            return; // an operation that there is not
        }

        var body = RecordDescription.ReadRequest(operation, ref reader);
        AssertSame(RecordDescription.Describe(operation, body), frame.Body);
        AssertWritten(frame, reader.Remaining, body is null ? [header] : [header, body]);
    }

    private static void CheckReply(RecordedFrame frame, ReadOnlySpan<byte> content)
    {
        var reader = new JuteReader(content);
        var header = ReplyHeader.Read(ref reader);
        Assert.That(
            (header.Xid, header.Zxid, (int)header.Error),
            Is.EqualTo(((int)frame.Decoded["xid"]!, (long)frame.Decoded["zxid"]!, frame.Error)));
        var body = header.Error == ZooKeeperError.Ok ? RecordDescription.ReadReply(frame.Operation, ref reader) : null;
        AssertSame(RecordDescription.Describe(frame.Operation, body), frame.Decoded["body"] is JsonObject expected ? expected : []);
        AssertWritten(frame, reader.Remaining, body is null ? [header] : [header, body]);
    }

    private static void CheckEvent(RecordedFrame frame, ReadOnlySpan<byte> content)
    {
        var reader = new JuteReader(content);
        var header = ReplyHeader.Read(ref reader);
        var happened = WatcherEvent.Read(ref reader);
        Assert.That(
            (header.Xid, happened.Type.ToString(), (int)happened.State, happened.Path),
            Is.EqualTo((SpecialXid.Notification, (string)frame.Decoded["typeName"]!, (int)frame.Decoded["state"]!, (string)frame.Decoded["path"]!)));
        AssertWritten(frame, reader.Remaining, header, happened);
    }

    private static void AssertSame(JsonNode actual, JsonNode expected) =>
        Assert.That(actual.ToJsonString(), Is.EqualTo(expected.ToJsonString()));

    private static void AssertWritten(RecordedFrame frame, int remaining, params ReadOnlySpan<IJuteRecord> records)
    {
        var surplus = ((string?)frame.Decoded["surplusHex"])?.Length / 2 ?? 0;
        using var buffer = new JuteBuffer();
        JuteFrame.Append(buffer, records);
        Assert.That(remaining, Is.EqualTo(surplus));
        Assert.That(
            Convert.ToHexStringLower(buffer.Written[JuteFrame.HeaderLength..]),
            Is.EqualTo(Convert.ToHexStringLower(frame.Bytes.AsSpan(JuteFrame.HeaderLength..^surplus))));
    }
}
