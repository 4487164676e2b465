using Fabric.Broker;
using Fabric.Interop.Tests.OpenWire;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime;
using Fabric.Server.Connections;
using Fabric.Tests.Client;

namespace Fabric.Tests.Server;

/// <summary>Orders of commands that our client does not use and others do, frame by frame.</summary>
[TestFixture]
[Parallelizable(ParallelScope.Self)]
internal sealed class RawClientTests
{
    private const int Filling = 20;
    private static readonly ConnectionId Id = new("ID:raw:1");
    private static readonly SessionId Session = new(Id.Value, 1);
    private static readonly ProducerId Producer = new(Id.Value, 1, 1);
    private static readonly ConsumerId Consumer = new(Id.Value, 1, 1);
    private static readonly Destination Q = new(DestinationKind.Queue, "Q");
    private readonly Queue<MessageDispatch> _received = new();
    private int _commands;

    [SetUp]
    public void Forget() => _received.Clear();

    [Test]
    public async Task A_connection_that_was_closed_can_be_begun_again_on_its_socket()
    {
        await using var broker = await LocalBroker.StartAsync();
        await using var client = await ConnectAsync(broker);
        await AskAsync(client, Login());
        await AskAsync(client, new SessionInfo { SessionId = Session });
        await AskAsync(client, new RemoveInfo { ObjectId = Id, LastDeliveredSequenceId = -2 });
        await RefusedAsync(client, new ConsumerInfo { ConsumerId = Consumer, Destination = Q, PrefetchSize = 1 }, "the client has closed the connection");

        await AskAsync(client, Login());
        await AskAsync(client, new SessionInfo { SessionId = Session });
        await AskAsync(client, new ConsumerInfo { ConsumerId = Consumer, Destination = Q, PrefetchSize = 1 });
        await AskAsync(client, NewMessage(1));
        Assert.That((await ReceiveAsync(client)).ConsumerId, Is.EqualTo(Consumer));
    }

    [Test]
    public async Task A_wrong_password_on_a_connection_that_is_begun_again_is_refused()
    {
        await using var broker = await LocalBroker.StartAsync();
        await using var client = await ConnectAsync(broker);
        await AskAsync(client, Login());
        await AskAsync(client, new RemoveInfo { ObjectId = Id, LastDeliveredSequenceId = -2 });
        var wrong = Login();
        wrong.Password = "wrong";
        await RefusedAsync(client, wrong, "User name [admin] or password is invalid.");
    }

    [Test]
    public async Task Who_gives_no_name_is_served_only_where_that_is_allowed()
    {
        await using var strict = await LocalBroker.StartAsync();
        await using var stranger = await ConnectAsync(strict);
        await RefusedAsync(stranger, Anonymous(), "User name [] or password is invalid.");

        await using var open = await LocalBroker.StartAsync(new BrokerOptions { AnonymousFromLoopback = true });
        await using var neighbour = await ConnectAsync(open);
        await AskAsync(neighbour, Anonymous());
        await AskAsync(neighbour, new SessionInfo { SessionId = Session });
        await AskAsync(neighbour, NewMessage(1));

        static ConnectionInfo Anonymous()
        {
            var login = Login();
            (login.UserName, login.Password) = (null, null);
            return login;
        }
    }

    [TestCase("127.0.0.1:40000", true)]
    [TestCase("127.0.0.2:1", true)]
    [TestCase("[::1]:40000", true)]
    [TestCase("10.0.0.1:40000", false)]
    [TestCase("[fe80::1%2]:40000", false)]
    [TestCase("0.0.0.0:1", false)]
    [TestCase("localhost:1", false)]
    [TestCase("unknown", false)]
    public void Only_loopback_addresses_are_of_this_machine(string endPoint, bool isLoopback) =>
        Assert.That(OpenWireConnection.IsLoopback(endPoint), Is.EqualTo(isLoopback));

    [Test]
    public async Task A_message_that_is_to_be_delivered_later_is_refused()
    {
        await using var broker = await LocalBroker.StartAsync();
        await using var client = await ConnectAsync(broker);
        await AskAsync(client, Login());
        await AskAsync(client, new SessionInfo { SessionId = Session });
        var message = NewMessage(1);
        message.MarshalledProperties = PrimitiveMarshaller.WriteMap(new Dictionary<string, object?> { ["AMQ_SCHEDULED_DELAY"] = 3_600_000L });
        await RefusedAsync(client, message, "scheduled messages: not supported by this broker");
        message = NewMessage(2);
        message.MarshalledProperties = PrimitiveMarshaller.WriteMap(new Dictionary<string, object?> { ["about"] = "AMQ_SCHEDULED_DELAY" });
        await AskAsync(client, message);
    }

    /// <summary>A client that were cut instead of answered would come back with the same for ever; and advisories name what is subscribed to.</summary>
    [Test]
    public async Task Names_of_any_length_are_refused_with_an_answer()
    {
        await using var broker = await LocalBroker.StartAsync();
        await using var reader = await ConnectAsync(broker);
        var login = Login();
        (login.ConnectionId, login.ClientId) = (new ConnectionId("ID:reader:1"), "reader");
        await AskAsync(reader, login);
        await AskAsync(reader, new SessionInfo { SessionId = new SessionId("ID:reader:1", 1) });
        await AskAsync(reader, new ConsumerInfo
        {
            ConsumerId = new ConsumerId("ID:reader:1", 1, 1), Destination = new Destination(DestinationKind.Topic, "ActiveMQ.Advisory.>"), PrefetchSize = 1000,
        });
        Forget(); // what it has been told on the way

        await using var client = await ConnectAsync(broker);
        await AskAsync(client, Login());
        await AskAsync(client, new SessionInfo { SessionId = Session });
        await RefusedAsync(client, Consume(DestinationKind.Queue, new string('q', 65_500)), "a name of 65500 characters is too long: 4096 at most");
        await RefusedAsync(client, Consume(DestinationKind.Topic, new string('t', 65_500) + ".>"), "a name of 65502 characters is too long: 4096 at most");
        var list = string.Join(',', Enumerable.Range(0, 6).Select(i => new string((char)('a' + i), 4000)));
        await RefusedAsync(
            client, new ProducerInfo { ProducerId = Producer, Destination = new Destination(DestinationKind.Queue, list) },
            $"a list of {list.Length} characters is too long: 20000 at most");
        await AskAsync(client, Consume(DestinationKind.Queue, "Q"));
        await AskAsync(client, NewMessage(1));
        Assert.That((await ReceiveAsync(client)).ConsumerId, Is.EqualTo(Consumer));

        static ConsumerInfo Consume(DestinationKind kind, string name) =>
            new() { ConsumerId = Consumer, Destination = new Destination(kind, name), PrefetchSize = 1 };
    }

    /// <summary>As Java's transacted sessions do: a send waits for no answer, the acknowledgement comes with the commit, and both stand behind the send.</summary>
    [Test]
    public async Task Who_moves_messages_in_transactions_makes_room()
    {
        await using var broker = await LocalBroker.StartAsync(new BrokerOptions { MemoryBytesMax = 64 * 1024 });
        await using var client = await ConnectAsync(broker);
        await AskAsync(client, Login());
        await AskAsync(client, new SessionInfo { SessionId = Session });
        await AskAsync(client, new ConsumerInfo { ConsumerId = Consumer, Destination = Q, PrefetchSize = 1 });
        await using (var filler = await ConnectAsync(broker))
        {
            var login = Login();
            login.ConnectionId = new ConnectionId("ID:filler:1");
            login.ClientId = "filler";
            await AskAsync(filler, login);
            for (var i = 1; i <= Filling; i++)
            {
                var message = NewMessage(i, bytes: 4000);
                message.ResponseRequired = false;
                message.Persistent = false;
                message.MessageId = new MessageId(null, new ProducerId("ID:filler:1", 1, 1), i, 0);
                await filler.SendAsync(message); // the last of them are held back
            }

            for (var i = 1; i <= 10; i++)
            {
                var received = await ReceiveAsync(client);
                var transaction = new LocalTransactionId(i, Id);
                var moved = NewMessage(i);
                moved.Destination = new Destination(DestinationKind.Queue, "moved");
                moved.TransactionId = transaction;
                moved.ResponseRequired = false;
                await client.SendAsync(
                    new TransactionInfo { ConnectionId = Id, TransactionId = transaction, Type = TransactionOperation.Begin },
                    moved,
                    new MessageAck
                    {
                        ConsumerId = Consumer, Destination = Q, TransactionId = transaction, AckType = AckType.Standard, MessageCount = 1,
                        FirstMessageId = received.Message!.MessageId, LastMessageId = received.Message.MessageId,
                    });
                await AskAsync(client, new TransactionInfo { ConnectionId = Id, TransactionId = transaction, Type = TransactionOperation.CommitOnePhase });
            }
        }
    }

    [Test]
    public async Task Who_asks_and_asks_and_reads_no_answer_is_cut()
    {
        await using var broker = await LocalBroker.StartAsync();
        await using var client = await ConnectAsync(broker);
        var questions = Enumerable.Repeat<IDataStructure>(new KeepAliveInfo { ResponseRequired = true }, 10_000).ToArray();
        Assert.That(
            async () =>
            {
                for (var i = 0; i < 1000; i++)
                {
                    await client.SendAsync(questions);
                }
            },
            Throws.InstanceOf<IOException>(), "ten million questions were taken");
    }

    private static ConnectionInfo Login() => new() { ConnectionId = Id, ClientId = "raw", UserName = "admin", Password = "secret" };

    private static ActiveMQTextMessage NewMessage(long number, int bytes = 4) => new()
    {
        ProducerId = Producer,
        Destination = Q,
        MessageId = new MessageId(null, Producer, number, 0),
        Content = MessageBody.WriteText(new string('x', bytes)),
        Persistent = true,
    };

    private static async Task<ScriptedConnection> ConnectAsync(LocalBroker broker)
    {
        var url = new Uri(broker.Url);
        var client = new ScriptedConnection(await FabricRuntime.System.Network.ConnectAsync(url.Host, url.Port, null, CancellationToken.None));
        await client.SendAsync(WireFormat.Default.ToInfo());
        await client.ReadAsync<WireFormatInfo>();
        await client.ReadAsync<BrokerInfo>();
        return client;
    }

    private async Task<MessageDispatch> ReceiveAsync(ScriptedConnection client) =>
        _received.TryDequeue(out var received) ? received : await client.ReadAsync<MessageDispatch>();

    private async Task<IDataStructure> ReadAnswerAsync(ScriptedConnection client)
    {
        while (true)
        {
            var command = await client.ReadAsync();
            if (command is not MessageDispatch received)
            {
                return command;
            }

            _received.Enqueue(received);
        }
    }

    /// <summary>Sends a command and requires that it is accepted.</summary>
    private async Task AskAsync(ScriptedConnection client, Command command)
    {
        (command.CommandId, command.ResponseRequired) = (++_commands, true);
        await client.SendAsync(command);
        Assert.That(await ReadAnswerAsync(client), Is.TypeOf<Response>().With.Property(nameof(Response.CorrelationId)).EqualTo(command.CommandId), command.DataType.ToString());
    }

    private async Task RefusedAsync(ScriptedConnection client, Command command, string message)
    {
        (command.CommandId, command.ResponseRequired) = (++_commands, true);
        await client.SendAsync(command);
        var answer = await client.ReadAsync<ExceptionResponse>();
        Assert.That((answer.CorrelationId, answer.Exception!.Message), Is.EqualTo((command.CommandId, message)));
    }
}
