using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>A broker's place in its group: a slave when it comes, a master with services while it serves.</summary>
internal sealed class GroupPresence : IBrokerPresence
{
    private readonly GroupMember _member;
    private readonly ILogger _logger;

    /// <param name="member">Owned from now on.</param>
    /// <param name="logger">Told when the registry does not take what is published.</param>
    public GroupPresence(GroupMember member, ILogger logger)
    {
        (_member, _logger) = (member, logger);
        member.Join();
    }

    /// <inheritdoc/>
    public void Publish(IReadOnlyList<string> services, Epoch epoch) => _ = PublishAsync(services, epoch);

    /// <inheritdoc/>
    public Task WithdrawAsync() => _member.WithdrawAsync(CancellationToken.None);

    /// <inheritdoc/>
    public Task WaitForSuccessorAsync(CancellationToken cancellationToken) => _member.WaitForOtherMasterAsync(cancellationToken);

    public ValueTask DisposeAsync() => _member.DisposeAsync();

    private async Task PublishAsync(IReadOnlyList<string> services, Epoch epoch)
    {
        try
        {
            await _member.PublishAsync(services, epoch.Value, CancellationToken.None);
        }
        catch (RegistryUnavailableException)
        {
            _logger.LogInformation("The registry is away; {Services} will be published when it is back", services);
        }
        catch (RegistryFencedException exception)
        {
            _logger.LogWarning("The services are not published: {Reason}", exception.Message);
        }
        catch (Exception exception)
        {
            // The member's loop goes on trying by itself; nobody awaits this.
            _logger.LogWarning("The services could not be published yet: {Reason}", exception.Message);
        }
    }
}
