using System.Globalization;
using System.Runtime.InteropServices;

namespace Fabric.Runtime.Processes;

/// <summary>
/// Turns the calling process into one that outlives whoever started it: what <c>setsid</c> and a redirection do for a program in a
/// shell. Done by the program itself, it needs no other program and leaves the process id as it is.
/// </summary>
public static partial class Daemon
{
    private const int WriteCreateAppendLinux = 0x1 | 0x40 | 0x400;
    private const int WriteCreateAppendMac = 0x1 | 0x200 | 0x8;
    private const int OwnerReadWrite = 0x180;
    private const int OthersNothing = 0x3F;
    private const int CloseOnExec = 0x80000;

    /// <summary>
    /// Leaves the terminal's session, so that neither its end nor its Ctrl+C reaches this process, reads standard input from
    /// nowhere, and appends standard output and error to a file. Call it before the console is used for the first time.
    /// </summary>
    /// <param name="outputFile">Created when absent, readable by its owner only; its directory must exist.</param>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static void Detach(string outputFile)
    {
        if (OperatingSystem.IsWindows())
        {
            return; // a process there belongs to no terminal session that ends it
        }

        var flags = OperatingSystem.IsLinux() ? WriteCreateAppendLinux : WriteCreateAppendMac;
        var output = Open(outputFile, flags, OwnerReadWrite);
        var input = Open("/dev/null", 0, 0);
        if (output < 0 || input < 0)
        {
            throw new IOException($"cannot open {outputFile} for output: error {Marshal.GetLastPInvokeError()}");
        }

        // The failure of setsid means that this process leads its group already: it was started by a shell's job control.
        _ = SetSession();
        RedirectCopies(input, output);
        _ = Duplicate(input, 0);
        _ = Duplicate(output, 1);
        _ = Duplicate(output, 2);
        _ = Close(input);
        _ = Close(output);
    }

    /// <summary>
    /// The runtime keeps copies of the three standard descriptors from its first moment on. Whoever reads our output to its end
    /// (<c>fabric up | tail</c>) would wait for as long as we hold them.
    /// </summary>
    private static void RedirectCopies(int input, int output)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        var (standardInput, standardOutput, standardError) = (Target("0"), Target("1"), Target("2"));
        foreach (var name in Directory.GetFiles("/proc/self/fd").Select(path => Path.GetFileName(path)))
        {
            var target = Target(name);
            var descriptor = int.Parse(name, CultureInfo.InvariantCulture);
            if (descriptor <= 2 || descriptor == input || descriptor == output || target is null or "/dev/null")
            {
                continue;
            }

            if (target == standardOutput || target == standardError)
            {
                _ = Duplicate(output, descriptor, CloseOnExec);
            }
            else if (target == standardInput)
            {
                _ = Duplicate(input, descriptor, CloseOnExec);
            }
        }

        static string? Target(string descriptor)
        {
            try
            {
                return new FileInfo($"/proc/self/fd/{descriptor}").LinkTarget;
            }
            catch (IOException)
            {
                return null; // closed meanwhile, such as the one that listed the directory
            }
        }
    }

    /// <summary>From now on, files that this process makes belong to its user alone.</summary>
    public static void KeepFilesPrivate()
    {
        if (!OperatingSystem.IsWindows())
        {
            _ = SetMask(OthersNothing);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "setsid")]
    private static partial int SetSession();

    [LibraryImport("libc", EntryPoint = "dup2")]
    private static partial int Duplicate(int from, int to);

    [LibraryImport("libc", EntryPoint = "dup3")]
    private static partial int Duplicate(int from, int to, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial int SetMask(int mask);
}
