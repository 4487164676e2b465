namespace Fabric.Registry;

/// <summary>
/// The registry cannot be reached at present, or its answer did not come back: what was asked may or may not have happened.
/// It comes back by itself; whoever asked decides whether to ask again.
/// </summary>
public sealed class RegistryUnavailableException(string message, Exception? innerException = null) : IOException(message, innerException);

/// <summary>The registry refuses the password, or what it allows is not enough for what was asked.</summary>
public sealed class RegistryPasswordException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>A higher epoch is known for the broker: whoever asked is no longer its master, and nothing was changed.</summary>
/// <param name="broker">The broker.</param>
/// <param name="epoch">The epoch on whose behalf the change was asked for.</param>
/// <param name="current">The higher one.</param>
public sealed class RegistryFencedException(string broker, long epoch, long current)
    : Exception($"broker {broker} is at epoch {current} by now; epoch {epoch} has ended")
{
    /// <summary>The higher epoch.</summary>
    public long CurrentEpoch { get; } = current;
}

/// <summary>The registry's content is not what it should be: damaged, from a newer version, or an object that does not exist.</summary>
public sealed class RegistryContentException(string message, Exception? innerException = null) : Exception(message, innerException);
