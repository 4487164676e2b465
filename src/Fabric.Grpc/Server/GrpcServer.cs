using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Grpc.Server;

/// <summary>
/// A gRPC server on HTTP/2 in clear text: Kestrel in the emptiest of hosts, without logging, configuration, console or signals, which
/// belong to the program around it. Thread-safe.
/// </summary>
public sealed class GrpcServer : IAsyncDisposable
{
    private readonly WebApplication _host;
    private readonly CancellationTokenSource _stopping;
    private readonly GrpcServerOptions _options;
    private int _disposed;

    private GrpcServer(WebApplication host, CancellationTokenSource stopping, GrpcServerOptions options, int port)
    {
        (_host, _stopping, _options) = (host, stopping, options);
        Port = port;
    }

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
        var application = Build(await ResolveAsync(host, cancellationToken), port, options);
        application.Run(new CallDispatcher(bodies, options, logger ?? NullLogger.Instance, stopping.Token).DispatchAsync);
        try
        {
            await application.StartAsync(cancellationToken);
        }
        catch (Exception exception)
        {
            await application.DisposeAsync();
            stopping.Dispose();
            if (exception is not IOException)
            {
                throw;
            }

            var reason = exception.InnerException is AddressInUseException ? "the port is in use" : exception.Message;
            throw new IOException($"cannot listen on {host}:{port}: {reason}", exception);
        }

        return new GrpcServer(application, stopping, options, BindingAddress.Parse(application.Urls.First()).Port);
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
        await _host.StopAsync(limit.Token);
        await _host.DisposeAsync();
        _stopping.Dispose();
    }

    private static WebApplication Build(IPAddress? address, int port, GrpcServerOptions options)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            Limit(kestrel.Limits, options);
            if (address is null)
            {
                kestrel.ListenAnyIP(port, listen => listen.Protocols = HttpProtocols.Http2);
            }
            else
            {
                kestrel.Listen(address, port, listen => listen.Protocols = HttpProtocols.Http2);
            }
        });
        return builder.Build();
    }

    private static void Limit(KestrelServerLimits limits, GrpcServerOptions options)
    {
        limits.MaxConcurrentConnections = options.ConnectionsMax;
        limits.MaxRequestBodySize = null; // a stream has no size
        limits.MinRequestBodyDataRate = null; // and may be silent for hours
        limits.MinResponseDataRate = null;
        limits.Http2.InitialStreamWindowSize = options.StreamWindowBytes;
        limits.Http2.InitialConnectionWindowSize = options.ConnectionWindowBytes;
        limits.Http2.MaxStreamsPerConnection = options.CallsPerConnectionMax;
        limits.Http2.KeepAlivePingDelay = options.KeepAlivePingDelay;
        limits.Http2.KeepAlivePingTimeout = options.KeepAlivePingTimeout;
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

    /// <summary>In place of the console's lifetime, which would stop the server on signals that the program handles itself.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
