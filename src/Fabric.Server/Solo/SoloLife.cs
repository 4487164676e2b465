using Fabric.Broker.Security;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Processes;
using Fabric.Server.Admin;
using Fabric.Server.Node;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Solo;

/// <summary>The order in which a broker without a fabric starts and stops.</summary>
internal sealed class SoloLife(FabricRuntime runtime, IProcesses processes, SoloFile file, ILoggerFactory loggers) : IBrokerSurroundings
{
    /// <summary>Largest file of users that is read, in bytes.</summary>
    private const long UsersBytesMax = 16 * 1024 * 1024;

    /// <summary>Runs the broker until it is asked to stop, and stops it.</summary>
    /// <exception cref="NodeException">It cannot run.</exception>
    public async Task RunAsync(StopRequests stop)
    {
        var users = ReadUsers();
        var board = new NodeBoard(runtime, processes, file.Options);
        await using var admin = await AdminServer.StartAsync(
            file.Options.BindHost, file.Options.EffectiveAdminPort, board.Read, loggers, CancellationToken.None);
        await using var brokers = new BrokerSet(new NodeServices(runtime, file.Options, users, this, loggers), static () => { });
        board.Show(brokers);
        await brokers.ApplyAsync([file.Broker]);
        if (await Task.WhenAny(stop.Requested, brokers.AnyEndedAsync()) != stop.Requested)
        {
            // There is no other broker to wait for here, and whoever watches the process must not believe that it serves.
            throw new NodeException(
                ExitCode.LocalFailure, string.Join("; ", brokers.Problems), "fabric journal-verify says what is there; fabric backup-restore brings a backup back");
        }

        board.ShowStopping();
    }

    /// <inheritdoc/>
    public BrokerTies Tie(BrokerConfiguration configuration, bool isFirst, ILogger logger) =>
        new(new SoloLink(), new SoloCoordinator(file.Options.Name), new NoPresence());

    private UserTable ReadUsers()
    {
        if (file.UsersFile is not { } path)
        {
            loggers.CreateLogger("node").LogWarning("No Fabric.Security.UsersFile is configured: nobody can connect");
            return UserTable.Empty;
        }

        try
        {
            using var users = runtime.Disk.Open(path, DiskFileMode.Open);
            var bytes = new byte[Math.Min(users.Length, UsersBytesMax)];
            return UserTable.Parse(System.Text.Encoding.UTF8.GetString(bytes.AsSpan(0, users.Read(bytes, 0))));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new NodeException(ExitCode.BadConfiguration, $"the users file {path} cannot be used: {exception.Message}", null, exception);
        }
    }

    /// <summary>Nobody looks for a broker without a fabric; its clients are told the address.</summary>
    private sealed class NoPresence : IBrokerPresence
    {
        public void Publish(IReadOnlyList<string> services, Epoch epoch)
        {
            // Said by nobody to nobody.
        }

        public Task WithdrawAsync() => Task.CompletedTask;

        public Task WaitForSuccessorAsync(CancellationToken cancellationToken) => Task.CompletedTask; // there is none

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
