using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Fabric.Server.Node;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fabric.Server.Admin;

/// <summary>
/// The management port: health and status over HTTP, open in every role from start to end of the process. Kestrel alone, without
/// host, container of services or routing: a node must be small when idle, and these are a handful of paths.
/// </summary>
/// <remarks>Reads only, so it asks for no password; it listens on the loopback address unless told otherwise.</remarks>
internal sealed class AdminServer : IHttpApplication<HttpContext>, IAsyncDisposable
{
    private const int ConnectionsMax = 200;

    private readonly Func<NodeStatus> _status;
    private readonly KestrelServer _server;

    private AdminServer(Func<NodeStatus> status, KestrelServer server) => (_status, _server) = (status, server);

    /// <summary>The port that is bound.</summary>
    public int Port { get; private set; }

    /// <summary>Opens the port.</summary>
    /// <param name="host">Address to bind.</param>
    /// <param name="port">0 to 65535; 0 for any.</param>
    /// <param name="status">What the node is doing; called on any thread, must not block.</param>
    /// <param name="loggers">For Kestrel.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NodeException">The port is in use, or the address is not ours (exit code 74).</exception>
    public static async Task<AdminServer> StartAsync(
        string host, int port, Func<NodeStatus> status, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var listen = default(ListenOptions);
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxConcurrentConnections = ConnectionsMax;
        options.Limits.MaxRequestBodySize = 0;
        options.Listen(await AddressOfAsync(host, cancellationToken), port, endpoint =>
        {
            endpoint.Protocols = HttpProtocols.Http1;
            listen = endpoint;
        });
        var transport = new SocketTransportFactory(Options.Create(new SocketTransportOptions { IOQueueCount = 1 }), loggers);
        var server = new KestrelServer(Options.Create(options), transport, loggers);
        var admin = new AdminServer(status, server);
        try
        {
            await server.StartAsync(admin, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // Kestrel has an exception of its own for a port in use only: an address of others or a port of root's is the socket's.
            server.Dispose();
            throw exception.InnerException is AddressInUseException
                ? new NodeException(ExitCode.LocalFailure, $"the management port {port} on {host} is in use",
                    "stop what uses it, or choose another with --admin-port or --port-offset", exception)
                : new NodeException(ExitCode.LocalFailure, $"cannot listen on {host}:{port}: {exception.Message}", null, exception);
        }

        admin.Port = ((IPEndPoint)listen!.EndPoint).Port;
        return admin;
    }

    HttpContext IHttpApplication<HttpContext>.CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    void IHttpApplication<HttpContext>.DisposeContext(HttpContext context, Exception? exception)
    {
        // The context holds nothing but the features, and these are Kestrel's.
    }

    async Task IHttpApplication<HttpContext>.ProcessRequestAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET, HEAD";
            await ProblemAsync(context, StatusCodes.Status405MethodNotAllowed, "only GET is possible here");
            return;
        }

        switch (context.Request.Path.Value)
        {
            case "/health/live":
                await HealthAsync(context, new HealthReport(true, [new HealthCheck("process", true, "answers")]));
                break;
            case "/health/ready":
                await HealthAsync(context, Health.Ready(_status()));
                break;
            case "/health/master":
                await HealthAsync(context, Health.Master(_status()));
                break;
            case "/api/v1/status":
                await JsonAsync(context, StatusCodes.Status200OK, _status(), AdminFormat.Readable.NodeStatus);
                break;
            default:
                await ProblemAsync(context, StatusCodes.Status404NotFound, "there is nothing at this path");
                break;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Nobody waits for an answer that matters: a request that is being served gets the rest of its answer or a closed connection.
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _server.StopAsync(now.Token);
        _server.Dispose();
    }

    private static Task HealthAsync(HttpContext context, HealthReport report) => JsonAsync(
        context, report.Ok ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, report, AdminFormat.Readable.HealthReport);

    private static Task ProblemAsync(HttpContext context, int status, string title) => JsonAsync(
        context, status, new Problem("about:blank", title, status), AdminFormat.Readable.Problem, "application/problem+json");

    private static async Task JsonAsync<T>(
        HttpContext context, int status, T body, JsonTypeInfo<T> type, string contentType = "application/json")
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(body, type);
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = bytes.Length;
        context.Response.Headers.CacheControl = "no-store";
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
        }
    }

    private static async Task<IPAddress> AddressOfAsync(string host, CancellationToken cancellationToken)
    {
        if (host is "0.0.0.0" or "*" or "::" or "[::]")
        {
            return IPAddress.IPv6Any;
        }

        if (IPAddress.TryParse(host.Trim('[', ']'), out var literal))
        {
            return literal;
        }

        try
        {
            return (await Dns.GetHostAddressesAsync(host, cancellationToken))[0];
        }
        catch (SocketException exception)
        {
            throw new NodeException(ExitCode.BadConfiguration, $"{host} is no address of this machine: {exception.Message}", "check --bind", exception);
        }
    }
}
