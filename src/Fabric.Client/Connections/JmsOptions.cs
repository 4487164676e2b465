namespace Fabric.Client.Connections;

/// <summary>
/// What a URL says with <c>jms.</c> (or <c>nms.</c>, <c>connection.</c>) in front: the connection factory's settings of the Java client,
/// under its names. Set while the URL is read.
/// </summary>
internal sealed class JmsOptions
{
    public static OptionTable<JmsOptions> Table { get; } = new()
    {
        { "userName", (options, value) => options.UserName = value.Text },
        { "password", (options, value) => options.Password = value.Text },
        { "clientID", (options, value) => options.ClientId = value.Text },
        { "sendTimeout", (options, value) => options.SendTimeout = PositiveOrNull(value) },
        { "connectResponseTimeout", (options, value) => options.ConnectResponseTimeout = PositiveOrNull(value) },
        { "closeTimeout", (options, value) => options.CloseTimeout = value.ToMilliseconds() },
        { "dispatchAsync", (options, value) => options.DispatchAsync = value.ToBoolean() },
        { "exclusiveConsumer", (options, value) => options.ExclusiveConsumer = value.ToBoolean() },
        { "useRetroactiveConsumer", (options, value) => options.RetroactiveConsumer = value.ToBoolean() },
        { "consumerExpiryCheckEnabled", (options, value) => options.ConsumerExpiryCheckEnabled = value.ToBoolean() },
        { "prefetchPolicy.queuePrefetch", (options, value) => options.QueuePrefetch = Prefetch(value) },
        { "prefetchPolicy.topicPrefetch", (options, value) => options.TopicPrefetch = Prefetch(value) },
        { "prefetchPolicy.durableTopicPrefetch", (options, value) => options.DurableTopicPrefetch = Prefetch(value) },
        {
            "prefetchPolicy.all",
            (options, value) => options.QueuePrefetch = options.TopicPrefetch = options.DurableTopicPrefetch = Prefetch(value)
        },
        { "prefetchPolicy.maximumPendingMessageLimit", (options, value) => options.MaximumPendingMessageLimit = value.ToInt32(0) },
        {
            "redeliveryPolicy.maximumRedeliveries",
            (options, value) => options.Redelivery = options.Redelivery with { MaximumRedeliveries = value.ToInt32(-1) }
        },
        {
            "redeliveryPolicy.initialRedeliveryDelay",
            (options, value) => options.Redelivery = options.Redelivery with { InitialRedeliveryDelay = value.ToMilliseconds() }
        },
        {
            "redeliveryPolicy.redeliveryDelay",
            (options, value) => options.Redelivery = options.Redelivery with { RedeliveryDelay = value.ToMilliseconds() }
        },
        {
            "redeliveryPolicy.useExponentialBackOff",
            (options, value) => options.Redelivery = options.Redelivery with { UseExponentialBackOff = value.ToBoolean() }
        },
        {
            "redeliveryPolicy.backOffMultiplier",
            (options, value) => options.Redelivery = options.Redelivery with { BackOffMultiplier = value.ToDouble() }
        },
        {
            "redeliveryPolicy.maximumRedeliveryDelay", (options, value) =>
            {
                var milliseconds = value.ToInt32(-1);
                options.Redelivery = options.Redelivery with
                {
                    MaximumRedeliveryDelay = milliseconds < 0 ? null : TimeSpan.FromMilliseconds(milliseconds),
                };
            }
        },
        {
            "redeliveryPolicy.useCollisionAvoidance",
            (options, value) => options.Redelivery = options.Redelivery with { UseCollisionAvoidance = value.ToBoolean() }
        },
        {
            // Each of these chooses among ways of sending, acknowledging and running threads that this client has one of.
            "clientIDPrefix", "connectionIDPrefix", "useAsyncSend", "alwaysSyncSend", "producerWindowSize", "optimizeAcknowledge",
            "optimizeAcknowledgeTimeOut", "optimizedAckScheduledAckInterval", "optimizedMessageDispatch", "sendAcksAsync",
            "transactedIndividualAck", "nonBlockingRedelivery", "messagePrioritySupported", "watchTopicAdvisories", "copyMessageOnSend",
            "disableTimeStampsByDefault", "nestedMapAndListEnabled", "objectMessageSerializationDefered", "useCompression",
            "checkForDuplicates", "auditDepth", "auditMaximumProducerNumber", "consumerFailoverRedeliveryWaitPeriod",
            "alwaysSessionAsync", "useDedicatedTaskRunner", "maxThreadPoolSize", "statsEnabled", "warnAboutUnstartedConnectionTimeout",
            "trustedPackages", "trustAllPackages", "rmIdFromConnectionId", "xaAckMode", "prefetchPolicy.queueBrowserPrefetch",
            "prefetchPolicy.optimizeDurableTopicPrefetch", "redeliveryPolicy.collisionAvoidancePercent",
            "redeliveryPolicy.preDispatchCheck", "asyncSend", "acknowledgementMode", "requestTimeout"
        },
    };

    public string? UserName { get; private set; }

    public string? Password { get; private set; }

    public string? ClientId { get; private set; }

    /// <summary>How long a send may wait for its confirmation; null for ever.</summary>
    public TimeSpan? SendTimeout { get; private set; }

    public TimeSpan? ConnectResponseTimeout { get; private set; }

    public TimeSpan CloseTimeout { get; private set; } = TimeSpan.FromSeconds(15);

    public bool DispatchAsync { get; private set; } = true;

    public bool ExclusiveConsumer { get; private set; }

    public bool RetroactiveConsumer { get; private set; }

    public bool ConsumerExpiryCheckEnabled { get; private set; } = true;

    public int QueuePrefetch { get; private set; } = 1000;

    public int TopicPrefetch { get; private set; } = ConsumerOptions.PrefetchMax;

    public int DurableTopicPrefetch { get; private set; } = 100;

    public int MaximumPendingMessageLimit { get; private set; }

    public RedeliveryPolicy Redelivery { get; private set; } = new();

    private static TimeSpan? PositiveOrNull(OptionValue value)
    {
        var time = value.ToMilliseconds();
        return time > TimeSpan.Zero ? time : null;
    }

    private static int Prefetch(OptionValue value) => Math.Min(value.ToInt32(1), ConsumerOptions.PrefetchMax);
}
