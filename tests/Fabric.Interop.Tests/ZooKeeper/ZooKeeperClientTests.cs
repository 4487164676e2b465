using System.Collections.Concurrent;
using System.Text;
using Fabric.Runtime;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using MultiOperation = Fabric.ZooKeeper.Client.MultiOperation;

namespace Fabric.Interop.Tests.ZooKeeper;

[TestFixture]
internal sealed class ApacheZooKeeperClientTests : ZooKeeperClientTests
{
    protected override IZooKeeperHost CreateHost() => new ApacheZooKeeper();
}

[TestFixture]
internal sealed class EmbeddedZooKeeperClientTests : ZooKeeperClientTests
{
    protected override IZooKeeperHost CreateHost() => new EmbeddedZooKeeper();
}

/// <summary>What the client promises, the same against Apache ZooKeeper and against the embedded server.</summary>
internal abstract partial class ZooKeeperClientTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan SessionTimeout = TimeSpan.FromSeconds(2);

    private readonly List<ZooKeeperClient> _clients = [];
    private IZooKeeperHost _host = null!;
    private string _base = null!;

    protected abstract IZooKeeperHost CreateHost();

    [OneTimeSetUp]
    public async Task StartServerAsync()
    {
        _host = CreateHost();
        await _host.StartAsync();
    }

    [OneTimeTearDown]
    public async Task StopServerAsync() => await _host.DisposeAsync();

    [SetUp]
    public async Task CreateBaseAsync()
    {
        _base = $"/test-{Guid.NewGuid():N}";
        var client = await ConnectAsync();
        await client.CreateAsync(_base, default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
    }

    [TearDown]
    public async Task CloseClientsAsync()
    {
        foreach (var client in _clients)
        {
            await client.DisposeAsync();
        }

        _clients.Clear();
    }

    [Test]
    public async Task Znodes_are_created_read_changed_and_deleted()
    {
        var client = await ConnectAsync();
        var path = await client.CreateAsync($"{_base}/a", "one"u8.ToArray(), WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        Assert.That(path, Is.EqualTo($"{_base}/a"));
        var read = await client.GetDataAsync(path);
        Assert.That((Encoding.UTF8.GetString(read.Data), read.Stat.Version), Is.EqualTo(("one", 0)));
        var stat = await client.SetDataAsync(path, "two"u8.ToArray(), version: 0);
        Assert.That(stat.Version, Is.EqualTo(1));
        Assert.That(
            async () => await client.SetDataAsync(path, default, version: 0),
            Throws.TypeOf<ZooKeeperException>().With.Property("Error").EqualTo(ZooKeeperError.BadVersion).And.Property("Path").EqualTo(path));
        Assert.That((await client.GetChildrenAsync(_base)).Children, Is.EqualTo(new[] { "a" }));
        Assert.That(async () => await client.DeleteAsync(_base), Fails(ZooKeeperError.NotEmpty));
        await client.DeleteAsync(path, 1);
        Assert.That(await client.ExistsAsync(path), Is.Null);
        Assert.That(async () => await client.GetDataAsync(path), Fails(ZooKeeperError.NoNode));
    }

    [TestCase(CreateMode.PersistentSequential)]
    [TestCase(CreateMode.EphemeralSequential)]
    public async Task Sequential_znodes_are_numbered(CreateMode mode)
    {
        var client = await ConnectAsync();
        var first = await client.CreateAsync($"{_base}/n-", default, WellKnownAcls.OpenUnsafe, mode);
        var second = await client.CreateAsync($"{_base}/n-", default, WellKnownAcls.OpenUnsafe, mode);
        Assert.That((first, second), Is.EqualTo(($"{_base}/n-0000000000", $"{_base}/n-0000000001")));
    }

    [Test]
    public async Task Containers_and_times_to_live_are_created()
    {
        var client = await ConnectAsync();
        await client.CreateAsync($"{_base}/container", default, WellKnownAcls.OpenUnsafe, CreateMode.Container);
        await client.CreateAsync(
            $"{_base}/ttl", default, WellKnownAcls.OpenUnsafe, CreateMode.PersistentWithTtl, TimeSpan.FromMinutes(1));
        Assert.That((await client.GetChildrenAsync(_base)).Children, Is.EquivalentTo(new[] { "container", "ttl" }));
    }

    [Test]
    public async Task Ephemeral_znodes_go_with_the_session()
    {
        var owner = await ConnectAsync();
        var path = await owner.CreateAsync($"{_base}/e", default, WellKnownAcls.OpenUnsafe, CreateMode.Ephemeral);
        var other = await ConnectAsync();
        var gone = new TaskCompletionSource<WatchedEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        var stat = await other.ExistsAsync(path, gone.SetResult);
        Assert.That(stat!.Value.EphemeralOwner, Is.EqualTo(owner.SessionId));
        await owner.CloseAsync();
        var watched = await gone.Task.WaitAsync(Limit);
        Assert.That((watched.Type, watched.Path), Is.EqualTo((WatchEventType.NodeDeleted, path)));
        Assert.That(async () => await owner.ExistsAsync(path), Fails(ZooKeeperError.SessionExpired));
    }

    [Test]
    public async Task A_multi_happens_whole_or_not_at_all()
    {
        var client = await ConnectAsync();
        var results = await client.MultiAsync(
        [
            MultiOperation.Create($"{_base}/m", "1"u8.ToArray(), WellKnownAcls.OpenUnsafe, CreateMode.Persistent),
            MultiOperation.SetData($"{_base}/m", "2"u8.ToArray(), 0),
            MultiOperation.Check($"{_base}/m", 1),
            MultiOperation.Create($"{_base}/m/s-", default, WellKnownAcls.OpenUnsafe, CreateMode.EphemeralSequential),
            MultiOperation.Delete($"{_base}/m/s-0000000000"),
        ]);
        Assert.That(
            (results[0].Path, results[1].Stat!.Value.Version, results[3].Path), Is.EqualTo(($"{_base}/m", 1, $"{_base}/m/s-0000000000")));
        Assert.That(
            async () => await client.MultiAsync(
            [
                MultiOperation.SetData($"{_base}/m", "3"u8.ToArray()),
                MultiOperation.Check($"{_base}/m", 77),
                MultiOperation.Delete($"{_base}/m"),
            ]),
            Throws.TypeOf<ZooKeeperException>().With.Property("Error").EqualTo(ZooKeeperError.BadVersion).And.Property("OperationIndex").EqualTo(1));
        Assert.That((await client.GetDataAsync($"{_base}/m")).Data, Is.EqualTo("2"u8.ToArray()));
    }

    [Test]
    public async Task Digest_identities_open_what_the_acl_closes()
    {
        var owner = await ConnectAsync();
        await owner.AddAuthAsync("digest", "fabric:admin"u8.ToArray());
        var path = await owner.CreateAsync($"{_base}/secret", "s"u8.ToArray(), WellKnownAcls.CreatorAll, CreateMode.Persistent);
        Assert.That((await owner.GetAclAsync(path)).Acl[0].Id.Value, Is.EqualTo("fabric:tT2fHiwGnb7Qra3bBV8inVewfPY="));
        var stranger = await ConnectAsync();
        Assert.That(async () => await stranger.GetDataAsync(path), Fails(ZooKeeperError.NoAuth));
        Assert.That(await stranger.ExistsAsync(path), Is.Not.Null);
        await stranger.AddAuthAsync("digest", "fabric:wrong"u8.ToArray());
        Assert.That(async () => await stranger.GetDataAsync(path), Fails(ZooKeeperError.NoAuth));
        await stranger.AddAuthAsync("digest", "fabric:admin"u8.ToArray());
        Assert.That((await stranger.GetDataAsync(path)).Data, Is.EqualTo("s"u8.ToArray()));
        await owner.SetAclAsync(path, WellKnownAcls.ReadUnsafe);
        Assert.That((await (await ConnectAsync()).GetDataAsync(path)).Data, Is.EqualTo("s"u8.ToArray()));
    }

    [Test]
    public async Task A_chroot_hides_what_is_above_it()
    {
        var client = await ConnectAsync(connectString: $"127.0.0.1:{_host.Port}{_base}");
        var created = new TaskCompletionSource<WatchedEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        await client.ExistsAsync("/in", created.SetResult);
        Assert.That(await client.CreateAsync("/in", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent), Is.EqualTo("/in"));
        Assert.That((await created.Task.WaitAsync(Limit)).Path, Is.EqualTo("/in"));
        Assert.That((await client.GetChildrenAsync("/")).Children, Is.EqualTo(new[] { "in" }));
        Assert.That(async () => await client.DeleteAsync("/"), Throws.TypeOf<ZooKeeperException>());
        Assert.That(await (await ConnectAsync()).ExistsAsync($"{_base}/in"), Is.Not.Null);
    }

    [Test]
    public async Task A_thousand_requests_in_flight_are_answered_in_order()
    {
        var client = await ConnectAsync();
        var finished = new ConcurrentQueue<int>();
        var tasks = Enumerable.Range(0, 1000).Select(async i =>
        {
            var stat = await client.SetDataAsync(_base, BitConverter.GetBytes(i));
            finished.Enqueue(stat.Version);
            return stat.Version;
        }).ToList();
        Assert.That(await Task.WhenAll(tasks), Is.EqualTo(Enumerable.Range(1, 1000)));
        Assert.That(finished, Has.Count.EqualTo(1000));
    }

    [Test]
    public async Task Cancelling_ends_the_waiting()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        relay.Swallow = true;
        using var cancel = new CancellationTokenSource();
        var read = client.GetDataAsync(_base, cancel.Token);
        await cancel.CancelAsync();
        Assert.That(async () => await read, Throws.InstanceOf<OperationCanceledException>());
        relay.Swallow = false;
    }

    [Test]
    public async Task The_largest_data_that_can_be_written_can_be_read()
    {
        var client = await ConnectAsync(timeout: TimeSpan.FromSeconds(4));
        var data = new byte[1_048_575 - 20 - _base.Length];
        new Random(1).NextBytes(data);
        await client.SetDataAsync(_base, data);
        Assert.That((await client.GetDataAsync(_base)).Data, Is.EqualTo(data));
        Assert.That(async () => await client.SetDataAsync(_base, new byte[data.Length + 1]), Throws.ArgumentException);
    }

    [Test]
    public async Task The_server_has_the_last_word_on_the_session_timeout()
    {
        var client = await ConnectAsync(timeout: TimeSpan.FromMilliseconds(1));
        Assert.That(client.NegotiatedSessionTimeout, Is.EqualTo(TimeSpan.FromMilliseconds(400)), "twice the server's tick");
    }

    [Test]
    public async Task An_unknown_scheme_is_refused_for_good()
    {
        var client = await ConnectAsync();
        Assert.That(async () => await client.AddAuthAsync("nosuch", "x"u8.ToArray()).WaitAsync(Limit), Fails(ZooKeeperError.AuthFailed));
        Assert.That(async () => await client.ExistsAsync(_base), Fails(ZooKeeperError.AuthFailed));
        Assert.That(client.State, Is.EqualTo(KeeperState.AuthFailed));
    }

    [Test]
    public async Task A_multi_makes_znodes_of_all_kinds_and_names_them_without_the_chroot()
    {
        var client = await ConnectAsync(connectString: $"127.0.0.1:{_host.Port}{_base}");
        var acl = WellKnownAcls.OpenUnsafe;
        var results = await client.MultiAsync(
        [
            MultiOperation.Create("/container", default, acl, CreateMode.Container),
            MultiOperation.Create("/container/s-", "x"u8.ToArray(), acl, CreateMode.PersistentSequential),
            MultiOperation.Create("/ttl", default, acl, CreateMode.PersistentWithTtl, TimeSpan.FromMinutes(1)),
            MultiOperation.Check("/ttl", 0),
        ]);
        Assert.That(results.Select(result => result.Path), Is.EqualTo(new[] { "/container", "/container/s-0000000000", "/ttl", null }));
        Assert.That(results[2].Stat!.Value.DataLength, Is.Zero);
        Assert.That((await client.GetDataAsync("/container/s-0000000000")).Data, Is.EqualTo("x"u8.ToArray()));
        Assert.That(
            async () => await client.MultiAsync([MultiOperation.Delete("/")]),
            Fails(ZooKeeperError.BadArguments).And.Property("OperationIndex").EqualTo(0).And.Property("Path").EqualTo("/"));
    }

    [Test]
    public async Task A_chroot_that_does_not_exist_has_nothing_in_it()
    {
        var client = await ConnectAsync(connectString: $"127.0.0.1:{_host.Port}{_base}/missing");
        Assert.That(await client.ExistsAsync("/"), Is.Null);
        Assert.That(
            async () => await client.CreateAsync("/a", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent), Fails(ZooKeeperError.NoNode));
    }

    private async Task<ZooKeeperClient> ConnectAsync(string? connectString = null, TimeSpan? timeout = null)
    {
        var client = new ZooKeeperClient(FabricRuntime.System, new ZooKeeperClientOptions
        {
            ConnectString = connectString ?? $"127.0.0.1:{_host.Port}",
            SessionTimeout = timeout ?? SessionTimeout,
        });
        _clients.Add(client);
        using var limit = new CancellationTokenSource(Limit);
        await client.ConnectAsync(limit.Token);
        return client;
    }

    /// <summary>Repeats a read over lost connections, as applications do.</summary>
    private static async Task<T> RetryAsync<T>(Func<Task<T>> read)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (true)
        {
            try
            {
                return await read().WaitAsync(limit.Token);
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.ConnectionLoss)
            {
                limit.Token.ThrowIfCancellationRequested();
            }
        }
    }

    private static void AddChange(BlockingCollection<WatchedEvent> events, WatchedEvent watched)
    {
        if (watched.Type != WatchEventType.None)
        {
            events.Add(watched);
        }
    }

    private static T Take<T>(BlockingCollection<T> events)
    {
        Assert.That(events.TryTake(out var taken, Limit), "nothing happened");
        return taken!;
    }

    private static NUnit.Framework.Constraints.Constraint Fails(ZooKeeperError error) =>
        Throws.TypeOf<ZooKeeperException>().With.Property("Error").EqualTo(error);
}
