using Fabric.Tests.Server;
using Fabric.Tests.ZooKeeper.Server;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>The timers of a session, on a clock that the test moves (reference §2.3).</summary>
[Parallelizable(ParallelScope.All), FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class ClientTimingTests : ClientFixture
{
    private readonly List<TimeSpan> _steps = [];
    private ManualTime _time = null!;

    [SetUp]
    public void StartClock()
    {
        _time = new ManualTime();
        _steps.Clear();
    }

    [TestCase(9_000, 3_000, 6_000)]
    [TestCase(60_000, 10_000, 20_000, Description = "at least every ten seconds")]
    public async Task An_idle_client_pings_after_a_third_of_the_timeout(int timeOut, int earliest, int latest)
    {
        var server = Serve();
        var client = Connect(server, _time, options => options with { SessionTimeout = TimeSpan.FromMilliseconds(timeOut) });
        var connection = await server.AcceptSessionAsync(timeOut);
        await client.ConnectAsync(CancellationToken.None);
        var ping = connection.ReadAnyRequestAsync();
        var took = await MoveUntilAsync(() => ping.IsCompleted, TimeSpan.FromMilliseconds(100));
        Assert.That((await ping).Header, Is.EqualTo(new RequestHeader(SpecialXid.Ping, OpCode.Ping)));
        Assert.That(took.TotalMilliseconds, Is.InRange(earliest, latest));
    }

    [Test]
    public async Task A_server_that_answers_pings_is_kept()
    {
        var server = Serve();
        var client = Connect(server, _time);
        var connection = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var losses = 0;
        client.StateChanged += state => losses += state == KeeperState.Disconnected ? 1 : 0;
        for (var pings = 0; pings < 5; pings++)
        {
            var ping = connection.ReadAnyRequestAsync();
            await MoveUntilAsync(() => ping.IsCompleted, TimeSpan.FromMilliseconds(50));
            await connection.ReplyAsync(await ping, ZooKeeperError.Ok);
            var sync = client.SyncAsync("/"); // once it is answered, so is the ping before it
            await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new PathRecord("/"));
            await sync;
        }

        Assert.That(_time.GetUtcNow() - DateTimeOffset.UnixEpoch, Is.GreaterThan(TimeSpan.FromSeconds(15)));
        Assert.That((client.State, losses), Is.EqualTo((KeeperState.SyncConnected, 0)));
    }

    [Test]
    public async Task A_server_that_says_nothing_for_two_thirds_of_the_timeout_is_left()
    {
        var server = Serve();
        var client = Connect(server, _time);
        await server.AcceptSessionAsync(timeOut: 9_000);
        await client.ConnectAsync(CancellationToken.None);
        var lost = client.ExistsAsync("/a");
        var took = await MoveUntilAsync(() => client.State == KeeperState.Disconnected, TimeSpan.FromMilliseconds(100));
        Assert.That(took.TotalMilliseconds, Is.InRange(6_000, 9_000));
        Assert.That(async () => await lost, Fails(ZooKeeperError.ConnectionLoss));
        await MoveUntilAsync(() => server.IsCalled, TimeSpan.FromMilliseconds(20));
    }

    [Test]
    public async Task A_server_that_does_not_answer_the_connect_costs_its_share_of_the_timeout()
    {
        var (one, other) = (Serve(), Serve());
        Connect($"127.0.0.1:{one.Port},127.0.0.1:{other.Port}", _time);
        await Wait.UntilAsync(() => one.IsCalled || other.IsCalled);
        var next = one.IsCalled ? other : one;
        var took = await MoveUntilAsync(() => next.IsCalled, TimeSpan.FromMilliseconds(100));
        Assert.That(took.TotalMilliseconds, Is.InRange(4_900, 10_000));
    }

    [Test]
    public async Task The_only_server_is_asked_again_in_time_when_it_does_not_answer_the_connect_of_a_session()
    {
        var server = Serve();
        Connect(server, _time);
        (await server.AcceptSessionAsync(timeOut: 9_000)).Close();
        await MoveUntilAsync(() => server.IsCalled, TimeSpan.FromMilliseconds(20));
        await server.AcceptAsync();
        var took = await MoveUntilAsync(() => server.IsCalled, TimeSpan.FromMilliseconds(100));
        Assert.That(took.TotalMilliseconds, Is.InRange(3_000, 6_000));
    }

    [Test]
    public async Task A_server_that_drops_every_connection_is_asked_more_and_more_seldom()
    {
        var server = Serve();
        Connect(server, _time);
        for (var attempt = 0; attempt < 8; attempt++)
        {
            _steps.Add(await MoveUntilAsync(() => server.IsCalled, TimeSpan.FromMilliseconds(25)));
            (await server.AcceptSessionAsync()).Close();
        }

        // 0.1, 0.2, 0.4 … s up to a quarter of the session's 10 s; each at least half of it.
        int[] leastMilliseconds = [0, 50, 100, 200, 400, 800, 1_250, 1_250];
        Assert.That(_steps.Zip(leastMilliseconds).Where(step => step.First.TotalMilliseconds < step.Second), Is.Empty);
        Assert.That(_steps[^1], Is.LessThan(TimeSpan.FromSeconds(5)));
    }

    [Test]
    public async Task A_client_without_a_session_asks_less_and_less_often_but_does_not_give_up()
    {
        var server = Serve();
        Connect(server, _time);
        for (var attempt = 0; attempt < 9; attempt++)
        {
            _steps.Add(await MoveUntilAsync(() => server.IsCalled, TimeSpan.FromMilliseconds(50)));
            (await server.AcceptAsync()).Close();
        }

        Assert.That(_steps[^1].TotalMilliseconds, Is.InRange(2_500, 8_000));
    }

    /// <summary>Moves the clock in small steps, with time for the client to act in between, until it is so.</summary>
    /// <returns>How far the clock went.</returns>
    private async Task<TimeSpan> MoveUntilAsync(Func<bool> condition, TimeSpan step)
    {
        var start = _time.GetTimestamp();
        using var limit = new CancellationTokenSource(ScriptedServer.Deadline);
        while (true)
        {
            // The client acts on other threads, and gets some time for this instant before the next one begins. It may need more on a
            // busy machine, so only lower bounds are exact.
            for (var look = 0; look < 5; look++)
            {
                if (condition())
                {
                    return _time.GetElapsedTime(start);
                }

                await Task.Delay(1, limit.Token);
            }

            _time.Advance(step);
        }
    }
}
