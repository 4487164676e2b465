namespace Fabric.Client.Connections;

/// <summary>How a connection is made again. Names and defaults are those of the Java client. Set while the URL is read.</summary>
internal sealed class FailoverOptions
{
    public static OptionTable<FailoverOptions> Table { get; } = new()
    {
        { "initialReconnectDelay", (options, value) => options.InitialReconnectDelay = value.ToMilliseconds() },
        { "maxReconnectDelay", (options, value) => options.MaxReconnectDelay = value.ToMilliseconds() },
        { "useExponentialBackOff", (options, value) => options.UseExponentialBackOff = value.ToBoolean() },
        { "reconnectDelayExponent", (options, value) => options.ReconnectDelayExponent = value.ToDouble() },
        { "backOffMultiplier", (options, value) => options.ReconnectDelayExponent = value.ToDouble() },
        { "maxReconnectAttempts", (options, value) => options.MaxReconnectAttempts = value.ToInt32(-1) },
        { "startupMaxReconnectAttempts", (options, value) => options.StartupMaxReconnectAttempts = value.ToInt32(-1) },
        { "randomize", (options, value) => options.Randomize = value.ToBoolean() },
        {
            "timeout", (options, value) =>
            {
                var milliseconds = value.ToInt32(-1);
                options.SendTimeout = milliseconds <= 0 ? null : TimeSpan.FromMilliseconds(milliseconds);
            }
        },
        { "updateURIsSupported", (options, value) => options.UpdateUrisSupported = value.ToBoolean() },
        { "reconnectSupported", (options, value) => options.ReconnectSupported = value.ToBoolean() },
        { "warnAfterReconnectAttempts", (options, value) => options.WarnAfterReconnectAttempts = value.ToInt32(0) },
        {
            // This client repeats every unconfirmed send and every open transaction anyhow, and needs no spare connection to be
            // quick; where the list comes from a URL or one broker is preferred for ever, it does not follow.
            "trackMessages", "trackTransactionProducers", "maxCacheSize", "reconnectDelay", "backup", "backupPoolSize",
            "priorityBackup", "priorityURIs", "updateURIsURL", "rebalanceUpdateURIs"
        },
    };

    public TimeSpan InitialReconnectDelay { get; private set; } = TimeSpan.FromMilliseconds(10);

    public TimeSpan MaxReconnectDelay { get; private set; } = TimeSpan.FromSeconds(30);

    public bool UseExponentialBackOff { get; private set; } = true;

    public double ReconnectDelayExponent { get; private set; } = 2;

    /// <summary>Rounds over all brokers; -1 for ever, 0 for one.</summary>
    public int MaxReconnectAttempts { get; set; } = -1;

    /// <summary>The same until the first connection; -1 for what <see cref="MaxReconnectAttempts"/> says.</summary>
    public int StartupMaxReconnectAttempts { get; private set; } = -1;

    public bool Randomize { get; set; } = true;

    /// <summary>How long a send may wait while there is no connection; null for ever.</summary>
    public TimeSpan? SendTimeout { get; private set; }

    public bool UpdateUrisSupported { get; private set; } = true;

    public bool ReconnectSupported { get; private set; } = true;

    public int WarnAfterReconnectAttempts { get; private set; } = 10;

    /// <summary>The rounds allowed before giving up; -1 for any number.</summary>
    public int GetRoundsMax(bool isFirstConnection) =>
        isFirstConnection && StartupMaxReconnectAttempts >= 0 ? StartupMaxReconnectAttempts : MaxReconnectAttempts;
}
