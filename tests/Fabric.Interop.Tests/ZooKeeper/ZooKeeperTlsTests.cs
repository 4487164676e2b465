using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Fabric.Runtime;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Interop.Tests.ZooKeeper;

/// <summary>Sessions over TLS: with Apache ZooKeeper, which wants a certificate of its clients too, and through a relay that speaks it.</summary>
[TestFixture]
internal sealed class ZooKeeperTlsTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly X509Certificate2 _certificate = Create("localhost");
    private readonly X509Certificate2 _stranger = Create("localhost");
    private ApacheZooKeeper _host = null!;

    [OneTimeSetUp]
    public async Task StartServerAsync()
    {
        _host = new ApacheZooKeeper(_certificate);
        await _host.StartAsync();
        await Ports.WaitUntilListeningAsync(_host.TlsPort, Limit, () => false);
    }

    [OneTimeTearDown]
    public async Task StopServerAsync()
    {
        await _host.DisposeAsync();
        _certificate.Dispose();
        _stranger.Dispose();
    }

    [Test]
    public async Task A_client_with_a_certificate_is_known_by_it()
    {
        await using var client = Client($"localhost:{_host.TlsPort}", Options(_certificate, _certificate));
        await client.ConnectAsync(CancellationToken.None).WaitAsync(Limit);
        var path = $"/tls-{Guid.NewGuid():N}";
        await client.CreateAsync(path, "s"u8.ToArray(), WellKnownAcls.CreatorAll, CreateMode.Ephemeral);
        Assert.That((await client.GetAclAsync(path)).Acl[0].Id, Is.EqualTo(new Id("x509", "CN=localhost")));
        Assert.That((await client.GetDataAsync(path)).Data, Is.EqualTo("s"u8.ToArray()));
        var data = new byte[500_000]; // many TLS records
        new Random(1).NextBytes(data);
        await client.SetDataAsync(path, data);
        Assert.That((await client.GetDataAsync(path)).Data, Is.EqualTo(data));
    }

    [Test]
    public async Task A_client_without_a_certificate_gets_no_session()
    {
        var log = new LogList();
        await using var client = Client($"localhost:{_host.TlsPort}", Options(_certificate, null), log);
        await log.UntilAsync("is not to be had");
        Assert.That((client.State, client.SessionId), Is.EqualTo((KeeperState.Disconnected, 0)));
    }

    [Test]
    public async Task A_server_that_is_not_trusted_is_not_talked_to()
    {
        var log = new LogList();
        await using var client = Client($"localhost:{_host.TlsPort}", Options(_stranger, _certificate), log);
        await log.UntilAsync("TLS handshake");
        Assert.That((client.State, client.SessionId), Is.EqualTo((KeeperState.Disconnected, 0)));
    }

    [Test]
    public async Task A_server_under_another_name_is_not_talked_to()
    {
        var log = new LogList();
        await using var client = Client($"127.0.0.1:{_host.TlsPort}", Options(_certificate, _certificate), log);
        await log.UntilAsync("TLS handshake");
        Assert.That((client.State, client.SessionId), Is.EqualTo((KeeperState.Disconnected, 0)));
    }

    [Test]
    public async Task A_cut_connection_is_made_again_over_TLS()
    {
        await using var relay = new TcpRelay(_host.Port, _certificate);
        await using var client = Client($"localhost:{relay.Port}", Options(_certificate, null));
        await client.ConnectAsync(CancellationToken.None).WaitAsync(Limit);
        var session = client.SessionId;
        var states = StateList.FromLossOn(client);
        relay.Cut();
        Assert.That(states.TryTake(out var first, Limit) && first == KeeperState.Disconnected);
        Assert.That(states.TryTake(out var second, Limit) && second == KeeperState.SyncConnected);
        Assert.That(await client.ExistsAsync("/"), Is.Not.Null);
        Assert.That(client.SessionId, Is.EqualTo(session));
    }

    private static ZooKeeperClient Client(string connectString, SslClientAuthenticationOptions tls, ILogger? logger = null) =>
        new(FabricRuntime.System, new ZooKeeperClientOptions { ConnectString = connectString, SessionTimeout = TimeSpan.FromSeconds(4), Tls = tls }, logger);

    private static SslClientAuthenticationOptions Options(X509Certificate2 trusted, X509Certificate2? own) => new()
    {
        ClientCertificates = own is null ? null : [own],
        CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { trusted },
            RevocationMode = X509RevocationMode.NoCheck,
        },
    };

    private static X509Certificate2 Create(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    /// <summary>What the client says about servers it does not get through to.</summary>
    private sealed class LogList : ILogger
    {
        private readonly BlockingCollection<string> _lines = [];

        public Task UntilAsync(string text) => Task.Run(() =>
        {
            do
            {
                Assert.That(_lines.TryTake(out var line, Limit), $"nothing is said about: {text}");
                if (line!.Contains(text, StringComparison.Ordinal))
                {
                    return;
                }
            }
            while (true);
        });

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _lines.Add(formatter(state, exception));
    }
}
