using System.Buffers;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime;
using Fabric.Runtime.Network;

namespace Fabric.Tests.Client;

/// <summary>A port on which a test plays the broker, one connection and one command at a time.</summary>
internal sealed class ScriptedBroker : IAsyncDisposable
{
    private readonly INetworkListener _listener = FabricRuntime.System.Network.Listen("127.0.0.1", 0);

    public string Url => $"tcp://127.0.0.1:{_listener.Port}";

    /// <summary>Waits for a client that connects, and agrees on the wire format.</summary>
    public async Task<ScriptedConnection> AcceptAsync(WireFormat? offer = null)
    {
        var connection = await AcceptSilentlyAsync();
        await connection.SendAsync((offer ?? WireFormat.Default).ToInfo());
        await connection.ReadAsync<WireFormatInfo>();
        return connection;
    }

    /// <summary>The same, and takes the login.</summary>
    public async Task<ScriptedConnection> AcceptLoginAsync(WireFormat? offer = null)
    {
        var connection = await AcceptAsync(offer);
        await connection.SendAsync(new BrokerInfo { BrokerId = new BrokerId("b"), BrokerName = "scripted" });
        if (await connection.ReadAsync() is not ConnectionInfo login)
        {
            login = await connection.ReadAsync<ConnectionInfo>(); // after the ConnectionControl of a failover client
        }

        await connection.RespondAsync(login);
        return connection;
    }

    /// <summary>Waits for a connection and says nothing.</summary>
    public async Task<ScriptedConnection> AcceptSilentlyAsync()
    {
        using var limit = new CancellationTokenSource(ScriptedConnection.Limit);
        return new ScriptedConnection(await _listener.AcceptAsync(limit.Token));
    }

    public ValueTask DisposeAsync() => _listener.DisposeAsync();
}

/// <summary>The broker's end of one connection. Whatever does not come in time fails the test.</summary>
internal sealed class ScriptedConnection(INetworkConnection connection) : IAsyncDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <summary>The next command of the client, keep-alives left out.</summary>
    public async Task<IDataStructure> ReadAsync()
    {
        using var limit = new CancellationTokenSource(Limit);
        while (true)
        {
            var result = await connection.Input.ReadAsync(limit.Token);
            var buffer = result.Buffer;
            if (OpenWireCodec.TryReadFrame(ref buffer, int.MaxValue, out var frame))
            {
                var command = OpenWireCodec.Decode(frame.ToArray(), OpenWireCodec.VersionMax);
                connection.Input.AdvanceTo(buffer.Start);
                if (command is not KeepAliveInfo)
                {
                    return command!;
                }

                continue;
            }

            connection.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                throw new IOException("the client closed the connection");
            }
        }
    }

    /// <summary>The next command, which must be of this type.</summary>
    public async Task<T> ReadAsync<T>()
    {
        var command = await ReadAsync();
        Assert.That(command, Is.InstanceOf<T>());
        return (T)command;
    }

    /// <summary>Answers the commands that a client opens with, until one comes that is of this type.</summary>
    public async Task<T> ReadUntilAsync<T>()
    {
        while (true)
        {
            var command = await ReadAsync();
            if (command is T wanted)
            {
                return wanted;
            }

            if (command is Command { ResponseRequired: true } request)
            {
                await RespondAsync(request);
            }
        }
    }

    /// <summary>Sends commands in one piece.</summary>
    public async Task SendAsync(params IDataStructure[] commands)
    {
        foreach (var command in commands)
        {
            connection.Output.Write(OpenWireCodec.Encode(command));
        }

        await connection.Output.FlushAsync();
    }

    public Task RespondAsync(Command command) => SendAsync(new Response { CorrelationId = command.CommandId });

    public Task RefuseAsync(Command command, string className, string message) => SendAsync(new ExceptionResponse
    {
        CorrelationId = command.CommandId, Exception = new BrokerError(className, message),
    });

    /// <summary>Dispatches a text message that a producer of this name and number may have sent.</summary>
    public Task DispatchAsync(ConsumerInfo consumer, int number, int redeliveryCounter = 0)
    {
        var producer = new ProducerId("ID:other:1", 1, 1);
        return SendAsync(new MessageDispatch
        {
            ConsumerId = consumer.ConsumerId,
            Destination = consumer.Destination,
            RedeliveryCounter = redeliveryCounter,
            Message = new ActiveMQTextMessage
            {
                ProducerId = producer,
                Destination = consumer.Destination,
                MessageId = new MessageId(null, producer, number, 100 + number),
                Content = MessageBody.WriteText($"{number}"),
                Persistent = true,
            },
        });
    }

    /// <summary>Breaks the connection as a crash does.</summary>
    public void Break() => connection.Abort();

    public ValueTask DisposeAsync()
    {
        connection.Abort();
        return connection.DisposeAsync();
    }
}
