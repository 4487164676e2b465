using System.Globalization;
using Fabric.Simulation.Running;

namespace Fabric.Simulation;

/// <summary>The command line of the simulator; see README.md.</summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        if (arguments is ["worker", ..])
        {
            return Worker.Run(arguments[1..]);
        }

        try
        {
            var options = CampaignOptions.Parse(arguments);
            return options.Planted.Count > 0 ? Planted.Hunt.Run(options, Console.Out) : Campaign.Run(options, Console.Out);
        }
        catch (FormatException exception)
        {
            Console.Error.WriteLine($"error: {exception.Message}");
            Console.Error.WriteLine(CampaignOptions.Usage);
            return 64;
        }
    }
}
