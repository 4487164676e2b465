using Fabric.Broker.Security;
using Fabric.Registry;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>
/// Who may connect, as the registry said last: while it is away, those it knew may still come in. Before it has spoken for the first
/// time nobody may.
/// </summary>
internal sealed class RegistryUsers : IAuthenticator, IAsyncDisposable
{
    private readonly IAsyncDisposable _watch;
    private volatile UserList _users = UserList.Empty;

    public RegistryUsers(FabricRegistry registry, ILogger logger) => _watch = UserList.Watch(registry, users =>
    {
        _users = users;
        logger.LogInformation("The registry knows {Count} users", users.Users.Count);
    });

    /// <inheritdoc/>
    public bool Authenticate(string? user, string? password) => _users.Verify(user, password) is not null;

    public ValueTask DisposeAsync() => _watch.DisposeAsync();
}
