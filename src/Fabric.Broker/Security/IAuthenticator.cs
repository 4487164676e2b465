namespace Fabric.Broker.Security;

/// <summary>Checks who connects. Thread-safe; must not block.</summary>
public interface IAuthenticator
{
    /// <summary>Whether the password belongs to the user. Both may be missing.</summary>
    bool Authenticate(string? user, string? password);
}

/// <summary>Says what a user may do. Thread-safe; called under the broker's lock, so it must not block or call back.</summary>
public interface IAuthorizer
{
    bool Allows(string user, DestinationAction action, DestinationName destination);
}

/// <summary>What somebody does with a destination.</summary>
public enum DestinationAction
{
    Read,
    Write,

    /// <summary>Create or delete it.</summary>
    Administer,
}
