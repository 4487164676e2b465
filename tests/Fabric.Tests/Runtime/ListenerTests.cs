using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Fabric.Grpc.Client;
using Fabric.Grpc.Server;
using Fabric.Runtime;
using Fabric.Runtime.Network;
using Fabric.Tests.Grpc;
using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Runtime;

/// <summary>A machine that is short of descriptors refuses to give us a connection now and then; nobody may stop listening for that.</summary>
internal sealed class ListenerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Test, Platform("Linux")]
    public async Task What_the_system_refuses_is_an_IOException()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen();
        await using var listener = new SystemListener(socket);
        socket.Shutdown(SocketShutdown.Both); // the next accept is refused as invalid
        Assert.That(
            async () => await listener.AcceptAsync(CancellationToken.None).AsTask().WaitAsync(Limit),
            Throws.InstanceOf<IOException>().With.Message.Contain($"{listener.Port}"));
    }

    [Test]
    public async Task A_gRPC_server_goes_on_after_an_accept_that_failed()
    {
        var options = new GrpcServerOptions { Runtime = FabricRuntime.System with { Network = new StumblingNetwork() } };
        await using var server = GrpcServer.Start("127.0.0.1", 0, [new EchoService().Build()], options);
        using var channel = new GrpcChannel($"127.0.0.1:{server.Port}", new GrpcChannelOptions());
        var reply = await channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "there" }).WaitAsync(Limit);
        Assert.That(reply.Text, Is.EqualTo("there"));
    }

    /// <summary>The system's network, whose listeners fail to accept once before they accept.</summary>
    private sealed class StumblingNetwork : INetwork
    {
        public ValueTask<INetworkConnection> ConnectAsync(
            string host, int port, SslClientAuthenticationOptions? tls, CancellationToken cancellationToken) =>
            FabricRuntime.System.Network.ConnectAsync(host, port, tls, cancellationToken);

        public INetworkListener Listen(string host, int port) => new Listener(FabricRuntime.System.Network.Listen(host, port));

        private sealed class Listener(INetworkListener real) : INetworkListener
        {
            private bool _hasStumbled;

            public int Port => real.Port;

            public ValueTask<INetworkConnection> AcceptAsync(CancellationToken cancellationToken)
            {
                if (!_hasStumbled)
                {
                    _hasStumbled = true;
                    throw new IOException("too many open files");
                }

                return real.AcceptAsync(cancellationToken);
            }

            public ValueTask DisposeAsync() => real.DisposeAsync();
        }
    }
}
