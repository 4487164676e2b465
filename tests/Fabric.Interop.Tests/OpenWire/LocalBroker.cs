using Fabric.Broker;
using Fabric.Broker.Security;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Server.Connections;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Interop.Tests.OpenWire;

/// <summary>
/// The shipping broker, journal and OpenWire connector in this process, without replicas: what is on its own disk is committed. User
/// <c>admin</c>, password <c>secret</c>.
/// </summary>
internal sealed class LocalBroker : IJournalObserver, IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fabric-local-").FullName;
    private readonly MessageBroker _broker;
    private readonly Advisories _advisories;
    private Journal? _journal;
    private OpenWireListener? _listener;

    private LocalBroker(BrokerOptions options)
    {
        _advisories = new Advisories("ID:fabric-local", "local");
        _broker = new MessageBroker(
            FabricRuntime.System, options with { Authenticator = UserTable.Single("admin", "secret") }, new OpenWirePayloadEditor(), _advisories, NullLogger.Instance);
    }

    public string Url => $"tcp://127.0.0.1:{_listener!.Port}";

    public MessageBroker Broker => _broker;

    /// <summary>Clients at present.</summary>
    public int ConnectionCount => _listener!.ConnectionCount;

    /// <param name="options">Of the broker.</param>
    /// <param name="disk">Where its journal lies; the machine's by default.</param>
    /// <param name="tailBytes">What its journal keeps in memory.</param>
    public static async Task<LocalBroker> StartAsync(BrokerOptions? options = null, IDisk? disk = null, long tailBytes = 16 * 1024 * 1024)
    {
        var local = new LocalBroker(options ?? new BrokerOptions());
        var journal = local._journal = await Journal.OpenAsync(
            FabricRuntime.System with { Disk = disk ?? FabricRuntime.System.Disk },
            new JournalOptions { Directory = local._directory, TailBytes = tailBytes },
            local._broker,
            local,
            CancellationToken.None);
        var first = journal.BecomeMaster(1, new byte[24]);
        await journal.WaitDurableAsync(first.End);
        local._advisories.Start(local._broker, []);
        local._broker.StartServing(journal, new Epoch(1), first.Position);
        local._listener = OpenWireListener.Start(
            FabricRuntime.System,
            new OpenWireOptions { BrokerId = "ID:fabric-local", BrokerName = "local" },
            local._broker,
            NullLogger.Instance,
            FabricRuntime.System.Network.Listen("127.0.0.1", 0));
        return local;
    }

    void IJournalObserver.OnOffered(Position end, bool here)
    {
    }

    void IJournalObserver.OnWritten(Position written)
    {
    }

    void IJournalObserver.OnDurable(Position durable) => _journal?.AdvanceCommitted(durable);

    void IJournalObserver.OnApplied(Position applied)
    {
    }

    void IJournalObserver.OnFailed(Exception cause) => Assert.Fail($"the journal failed: {cause}");

    public async ValueTask DisposeAsync()
    {
        await _listener!.DisposeAsync();
        await _broker.DisposeAsync();
        await _journal!.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
