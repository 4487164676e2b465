using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fabric.Grpc.Server;

/// <summary>
/// A gRPC server on HTTP/2 in clear text: Kestrel without a host around it, so that it starts fast, stays small and writes to no
/// console. Thread-safe.
/// </summary>
public sealed class GrpcServer : IAsyncDisposable
{
    private readonly KestrelServer _kestrel;
    private readonly CancellationTokenSource _stopping;
    private readonly GrpcServerOptions _options;
    private int _disposed;

    private GrpcServer(KestrelServer kestrel, CancellationTokenSource stopping, GrpcServerOptions options, string host, int port)
    {
        (_kestrel, _stopping, _options) = (kestrel, stopping, options);
        (Host, Port) = (host, port);
    }

    /// <summary>The host as it was given.</summary>
    public string Host { get; }

    /// <summary>The port that is bound.</summary>
    public int Port { get; }

    /// <summary>Starts to answer.</summary>
    /// <param name="host">An IP address, a host name, or <c>0.0.0.0</c>, which binds IPv4 and IPv6.</param>
    /// <param name="port">0 to 65535; 0 lets the system choose.</param>
    /// <param name="services">What is answered.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    /// <param name="logger">Hears of bodies that fail.</param>
    /// <param name="cancellationToken">Ends the start, not the server.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message says which.</exception>
    public static async Task<GrpcServer> StartAsync(
        string host,
        int port,
        IReadOnlyList<GrpcService> services,
        GrpcServerOptions? options = null,
        ILogger? logger = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new GrpcServerOptions();
        var stopping = new CancellationTokenSource();
        var bodies = services.SelectMany(service => service.Bodies).ToDictionary(StringComparer.Ordinal);
        var kestrel = Create(await ResolveAsync(host, cancellationToken), port, options);
        try
        {
            await kestrel.StartAsync(
                new CallDispatcher(bodies, options, logger ?? NullLogger.Instance, stopping.Token), cancellationToken);
        }
        catch (Exception exception)
        {
            kestrel.Dispose();
            stopping.Dispose();
            if (exception is not IOException)
            {
                throw;
            }

            var reason = exception.InnerException is AddressInUseException ? "the port is in use" : exception.Message;
            throw new IOException($"cannot listen on {host}:{port}: {reason}", exception);
        }

        var address = kestrel.Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new GrpcServer(kestrel, stopping, options, host, BindingAddress.Parse(address).Port);
    }

    /// <summary>
    /// Stops listening, cancels the running calls (their callers see <see cref="GrpcStatusCode.Unavailable"/>) and cuts those that do
    /// not end within <see cref="GrpcServerOptions.StopLimit"/>.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stopping.CancelAsync();
        using var limit = new CancellationTokenSource(_options.StopLimit, _options.Time);
        await _kestrel.StopAsync(limit.Token);
        _kestrel.Dispose();
        _stopping.Dispose();
    }

    private static KestrelServer Create(IPAddress? address, int port, GrpcServerOptions options)
    {
        var kestrel = new KestrelServerOptions { AddServerHeader = false };
        var limits = kestrel.Limits;
        limits.MaxConcurrentConnections = options.ConnectionsMax;
        limits.MaxRequestBodySize = null; // a stream has no size
        limits.MinRequestBodyDataRate = null; // and may be silent for hours
        limits.MinResponseDataRate = null;
        limits.Http2.InitialStreamWindowSize = options.StreamWindowBytes;
        limits.Http2.InitialConnectionWindowSize = options.ConnectionWindowBytes;
        limits.Http2.MaxStreamsPerConnection = options.CallsPerConnectionMax;
        limits.Http2.KeepAlivePingDelay = options.KeepAlivePingDelay;
        limits.Http2.KeepAlivePingTimeout = options.KeepAlivePingTimeout;
        if (address is null)
        {
            kestrel.ListenAnyIP(port, listen => listen.Protocols = HttpProtocols.Http2);
        }
        else
        {
            kestrel.Listen(new IPEndPoint(address, port), listen => listen.Protocols = HttpProtocols.Http2);
        }

        var transport = new SocketTransportFactory(Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance);
        return new KestrelServer(Options.Create(kestrel), transport, NullLoggerFactory.Instance);
    }

    /// <returns>Null for all addresses of the machine.</returns>
    private static async Task<IPAddress?> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (host is "0.0.0.0" or "*" or "::" or "[::]")
        {
            return null;
        }

        if (IPAddress.TryParse(host.Trim('[', ']'), out var literal))
        {
            return literal;
        }

        try
        {
            var addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
            var usual = Array.Find(addresses, candidate => candidate.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork);
            return usual ?? addresses[0];
        }
        catch (System.Net.Sockets.SocketException exception)
        {
            throw new IOException($"cannot listen on {host}: {exception.Message}", exception);
        }
    }
}
