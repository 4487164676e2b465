using System.Net;
using System.Text.Json;
using Fabric.Server.Admin;
using Fabric.Server.Node;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class AdminServerTests
{
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(20) };
    private NodeStatus _status = Node();
    private AdminServer _server = null!;

    [SetUp]
    public async Task StartAsync()
    {
        _status = Node();
        _server = await AdminServer.StartAsync("127.0.0.1", 0, () => _status, NullLoggerFactory.Instance, CancellationToken.None);
    }

    [TearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [OneTimeTearDown]
    public void DisposeClient() => _http.Dispose();

    [Test]
    public async Task The_status_is_json()
    {
        using var response = await GetAsync("/api/v1/status");
        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Multiple(() =>
        {
            Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/json"));
            Assert.That(body.RootElement.GetProperty("schemaVersion").GetInt32(), Is.EqualTo(1));
            Assert.That(body.RootElement.GetProperty("container").GetString(), Is.EqualTo("broker1"));
            Assert.That(body.RootElement.GetProperty("brokers").GetArrayLength(), Is.Zero);
        });
    }

    [TestCase("master", true, HttpStatusCode.OK, HttpStatusCode.OK)]
    [TestCase("master", false, HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable)]
    [TestCase("slave", false, HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable)]
    [TestCase("electing", false, HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable)]
    [TestCase("failed", false, HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable)]
    public async Task A_legitimate_role_is_ready_and_only_a_serving_master_is_master(
        string role, bool serving, HttpStatusCode ready, HttpStatusCode master)
    {
        _status = Node() with { Brokers = [Broker(role, serving)] };
        using var readyResponse = await GetAsync("/health/ready");
        using var masterResponse = await GetAsync("/health/master");
        Assert.That((readyResponse.StatusCode, masterResponse.StatusCode), Is.EqualTo((ready, master)));
    }

    [Test]
    public async Task A_stopping_node_lives_and_is_not_ready()
    {
        _status = Node() with { Stopping = true };
        using var live = await GetAsync("/health/live");
        using var ready = await GetAsync("/health/ready");
        Assert.That((live.StatusCode, ready.StatusCode), Is.EqualTo((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable)));
    }

    [Test]
    public async Task An_unknown_path_and_a_wrong_method_are_problems()
    {
        using var unknown = await GetAsync("/nothing");
        using var posted = await _http.PostAsync(new Uri($"http://127.0.0.1:{_server.Port}/health/live"), null);
        Assert.That((unknown.StatusCode, posted.StatusCode), Is.EqualTo((HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed)));
        Assert.That(unknown.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/problem+json"));
    }

    [Test]
    public void A_port_in_use_is_said_and_ends_with_74()
    {
        var exception = Assert.ThrowsAsync<NodeException>(() => AdminServer.StartAsync(
            "127.0.0.1", _server.Port, () => _status, NullLoggerFactory.Instance, CancellationToken.None))!;
        Assert.That(exception.Code, Is.EqualTo(ExitCode.LocalFailure));
        Assert.That(exception.Message, Is.EqualTo($"the management port {_server.Port} on 127.0.0.1 is in use"));
    }

    [Test]
    public void An_address_of_another_machine_is_said_and_ends_with_74()
    {
        var exception = Assert.ThrowsAsync<NodeException>(() => AdminServer.StartAsync(
            "192.0.2.1", 0, () => _status, NullLoggerFactory.Instance, CancellationToken.None))!;
        Assert.That(exception.Code, Is.EqualTo(ExitCode.LocalFailure));
        Assert.That(exception.Message, Does.StartWith("cannot listen on 192.0.2.1:0: "));
    }

    private Task<HttpResponseMessage> GetAsync(string path) => _http.GetAsync(new Uri($"http://127.0.0.1:{_server.Port}{path}"));

    private static NodeStatus Node() => new()
    {
        Container = "broker1",
        Root = false,
        Version = "1",
        ProcessId = 1,
        StartedAt = DateTimeOffset.UnixEpoch,
        UptimeSeconds = 1,
        Stopping = false,
        Registry = new RegistryStatus("localhost:2181", true, false),
        Brokers = [],
        Containers = [],
    };

    private static BrokerStatus Broker(string role, bool serving) => new()
    {
        Broker = "default",
        Group = "default",
        Role = role,
        Epoch = 1,
        Master = "broker1",
        Serving = serving,
        Services = [],
        EndPosition = 0,
        CommittedPosition = 0,
        Slaves = [],
        Failure = null,
        Connections = 0,
        Destinations = [],
    };
}
