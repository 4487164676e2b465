using System.Security.Cryptography;
using Fabric.Runtime.Processes;

namespace Fabric.Server.Node;

/// <summary>Where a node gets the registry's password from. It never stands on a command line, where every user could read it.</summary>
internal static class RegistryPassword
{
    /// <summary>The environment variable that wins over the file.</summary>
    public const string Variable = "FABRIC_ZOOKEEPER_PASSWORD";

    private const string Letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    private const int GeneratedLength = 20;

    /// <summary>
    /// The password: of the environment, else of the file. A root that hosts a registry and has neither makes one up and keeps it in
    /// the file, for its containers and for its administrator.
    /// </summary>
    /// <returns>Null when there is none: the registry is then used without authentication.</returns>
    /// <exception cref="NodeException">The file cannot be read or others could read it (exit code 78).</exception>
    public static string? Find(NodeOptions options, Func<string, string?> environment)
    {
        if (environment(Variable) is { Length: > 0 } given)
        {
            return given;
        }

        try
        {
            if (SecretFile.Read(options.PasswordFile) is { Length: > 0 } kept)
            {
                return kept;
            }

            if (!options.HostsRegistry)
            {
                return null;
            }

            var made = RandomNumberGenerator.GetString(Letters, GeneratedLength);
            SecretFile.Write(options.PasswordFile, made);
            return made;
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new NodeException(ExitCode.BadConfiguration, exception.Message, null, exception);
        }
    }
}
