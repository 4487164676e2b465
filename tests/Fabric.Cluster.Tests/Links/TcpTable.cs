using System.Globalization;
using System.Net;

namespace Fabric.Cluster.Tests.Links;

/// <summary>The machine's TCP sockets, IPv4 over IPv6 ones too, as Linux shows them to everybody, and whose they are, as it shows to their owner.</summary>
internal static class TcpTable
{
    private const string Established = "01";
    private const string Listening = "0A";

    /// <summary>Ports that something listens on at an address.</summary>
    public static IReadOnlyList<int> ListeningAt(IPAddress address) =>
        [.. Rows().Where(row => row.State == Listening && row.Local.Address.Equals(address)).Select(row => row.Local.Port)];

    /// <summary>Which of some processes has the connection; null when none has.</summary>
    public static int? OwnerOf(IPEndPoint local, IPEndPoint remote, IEnumerable<int> processes)
    {
        var inode = Rows().Where(row => row.State == Established && row.Local.Equals(local) && row.Remote.Equals(remote)).Select(row => row.Inode).FirstOrDefault();
        return inode is null ? null : processes.Select(process => (int?)process).FirstOrDefault(process => Has(process!.Value, $"socket:[{inode}]"));
    }

    private static bool Has(int process, string socket)
    {
        try
        {
            return new DirectoryInfo($"/proc/{process}/fd").EnumerateFiles().Any(file => file.LinkTarget == socket);
        }
        catch (IOException)
        {
            return false; // it has ended meanwhile
        }
    }

    private static IEnumerable<(IPEndPoint Local, IPEndPoint Remote, string State, string Inode)> Rows() =>
        File.ReadLines("/proc/net/tcp").Skip(1).Concat(File.ReadLines("/proc/net/tcp6").Skip(1))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(fields => (EndPointOf(fields[1]), EndPointOf(fields[2]), fields[3], fields[9]));

    /// <summary>An address as one number or four, each in the machine's own order, in hexadecimal, and the port.</summary>
    private static IPEndPoint EndPointOf(string text)
    {
        var parts = text.Split(':');
        var address = new IPAddress([.. parts[0].Chunk(8).SelectMany(word => BitConverter.GetBytes(uint.Parse(word, NumberStyles.HexNumber, CultureInfo.InvariantCulture)))]);
        return new IPEndPoint(
            address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, int.Parse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
    }
}
