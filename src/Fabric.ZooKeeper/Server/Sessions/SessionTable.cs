using Fabric.Runtime;

namespace Fabric.ZooKeeper.Server.Sessions;

/// <summary>One client session. Owned by its <see cref="SessionTable"/>.</summary>
/// <param name="id">Never 0.</param>
/// <param name="timeout">Granted timeout in milliseconds.</param>
/// <param name="password">What the client shows to re-attach.</param>
internal sealed class ServerSession(long id, int timeout, byte[] password)
{
    public long Id { get; } = id;

    public byte[] Password { get; } = password;

    /// <summary>Granted timeout in milliseconds; a re-attach may change it.</summary>
    public int Timeout { get; set; } = timeout;

    /// <summary>When it expires unless its client is heard before, in milliseconds of <see cref="SessionTable"/>'s clock.</summary>
    public long Deadline { get; set; }

    /// <summary>The connection that speaks for it; null while there is none.</summary>
    public Connections.ServerConnection? Connection { get; set; }
}

/// <summary>
/// All sessions and their expiry (reference §3.7). Time comes in as milliseconds of a monotonic clock with any origin. Not
/// thread-safe: it lives under the lock of the request executor.
/// </summary>
internal sealed class SessionTable
{
    private const int PasswordLength = 16;

    /// <summary>The byte that tells servers of an ensemble apart; ours is alone.</summary>
    private const long ServerMark = 1L << 56;

    private readonly Dictionary<long, ServerSession> _sessions = [];
    private long? _checkedAt;

    public int Count => _sessions.Count;

    public IReadOnlyCollection<ServerSession> All => _sessions.Values;

    /// <summary>Highest id ever given. Kept in the snapshot, so that ids never repeat.</summary>
    public long LastId { get; set; }

    public ServerSession? Find(long id) => _sessions.GetValueOrDefault(id);

    /// <summary>
    /// A fresh id: above every earlier one, and, after the data directory was emptied, above those of its former life too
    /// because it starts at the wall clock.
    /// </summary>
    /// <param name="wallClock">Milliseconds since 1970 UTC.</param>
    public long NextId(long wallClock)
    {
        const long clockMask = (1L << 40) - 1;
        const int counterBits = 16;
        return Math.Max(LastId + 1, ServerMark | ((wallClock & clockMask) << counterBits));
    }

    /// <summary>A password nobody can guess. It is a secret, so it does not come from the runtime's plain randomness.</summary>
    public static byte[] NewPassword(FabricRuntime runtime)
    {
        var password = new byte[PasswordLength];
        runtime.Secrets(password);
        return password;
    }

    public ServerSession Open(long id, int timeout, byte[] password)
    {
        var session = new ServerSession(id, timeout, password);
        _sessions.Add(id, session);
        LastId = Math.Max(LastId, id);
        return session;
    }

    public void Close(long id) => _sessions.Remove(id);

    /// <summary>The client of a session was heard.</summary>
    public static void Touch(ServerSession session, long now) => session.Deadline = now + session.Timeout;

    /// <summary>Gives every session its full timeout from now on; after a start.</summary>
    public void TouchAll(long now)
    {
        foreach (var session in _sessions.Values)
        {
            Touch(session, now);
        }
    }

    /// <summary>
    /// Sessions that are over. Called about once per <paramref name="interval"/>; when the last call is more than a tick
    /// longer ago, the process was paused and heard nobody, so all deadlines move by the pause and nothing expires yet.
    /// </summary>
    /// <param name="now">The clock, in milliseconds.</param>
    /// <param name="interval">Intended time between calls, in milliseconds.</param>
    /// <param name="tick">Tick time in milliseconds.</param>
    public IReadOnlyList<ServerSession> TakeExpired(long now, long interval, long tick)
    {
        var late = _checkedAt is { } last ? now - last - interval : 0;
        _checkedAt = now;
        if (late > tick)
        {
            foreach (var session in _sessions.Values)
            {
                session.Deadline = Math.Min(session.Deadline + late, now + session.Timeout); // somebody may have been heard already
            }

            return [];
        }

        List<ServerSession>? expired = null;
        foreach (var session in _sessions.Values)
        {
            if (session.Deadline <= now)
            {
                (expired ??= []).Add(session);
            }
        }

        return expired ?? [];
    }
}
