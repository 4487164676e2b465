namespace Fabric.Server.Node;

/// <summary>
/// What a container's profiles say about its brokers, with what they said before for a broker of which they say nonsense now: a slip of the pen reaches
/// all containers at once, and must not stop the broker on all of them. Not thread-safe.
/// </summary>
/// <param name="container">Who reads.</param>
/// <param name="dataDirectory">The container's directory.</param>
internal sealed class BrokerConfigurations(string container, string dataDirectory)
{
    private Dictionary<string, BrokerConfiguration> _good = [];

    /// <summary>Reads the configurations that make the container run brokers.</summary>
    /// <param name="pids">Keys and values of every pid.</param>
    /// <returns>The brokers to run, and what is wrong with which pid.</returns>
    public (IReadOnlyList<BrokerConfiguration> Wanted, IReadOnlyList<string> Wrong) Read(IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> pids)
    {
        var good = new Dictionary<string, BrokerConfiguration>(StringComparer.Ordinal);
        var wrong = new List<string>();
        foreach (var (pid, values) in pids.Where(pid => BrokerConfiguration.IsBroker(pid.Key)))
        {
            try
            {
                good.Add(pid, BrokerConfiguration.Read(pid, values, container, dataDirectory));
            }
            catch (NodeException exception) when (_good.TryGetValue(pid, out var last))
            {
                good.Add(pid, last);
                wrong.Add($"{exception.Message}; it runs as it was configured before, until the container is started again");
            }
            catch (NodeException exception)
            {
                wrong.Add(exception.Message);
            }
        }

        _good = good;
        return ([.. good.Values], wrong);
    }
}
