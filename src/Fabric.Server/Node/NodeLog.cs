using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Events;
using Serilog.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>
/// The node's log: a line per event, to the console of a person and to rolling files. A detached process has no console worth
/// writing to: what it prints ends up in a file that does not roll, and is left to the runtime's last words in a crash.
/// </summary>
internal static class NodeLog
{
    private const int FilesKept = 7;
    private const long FileBytesMax = 32 * 1024 * 1024;
    private const string Line = "{Timestamp:yyyy-MM-ddTHH:mm:ss.fffzzz} {Level:u3} {SourceContext}: {Message:lj}{NewLine}{Exception}";

    /// <summary>Opens the log. Disposing it writes what is left.</summary>
    public static ILoggerFactory Open(NodeOptions options)
    {
        var level = options.LogLevel switch
        {
            LogLevel.Trace => LogEventLevel.Verbose,
            LogLevel.Debug => LogEventLevel.Debug,
            LogLevel.Warning => LogEventLevel.Warning,
            LogLevel.Error => LogEventLevel.Error,
            _ => LogEventLevel.Information,
        };
        var configuration = new LoggerConfiguration()
            .MinimumLevel.Is(level)
            .MinimumLevel.Override("Microsoft", level > LogEventLevel.Warning ? level : LogEventLevel.Warning)
            .WriteTo.File(
                Path.Combine(options.LogDirectory, "fabricd-.log"),
                outputTemplate: Line,
                formatProvider: System.Globalization.CultureInfo.InvariantCulture,
                rollingInterval: RollingInterval.Day,
                fileSizeLimitBytes: FileBytesMax,
                rollOnFileSizeLimit: true,
                retainedFileCountLimit: FilesKept);
        if (!options.Detached)
        {
            configuration.WriteTo.Console(
                outputTemplate: Line,
                formatProvider: System.Globalization.CultureInfo.InvariantCulture,
                standardErrorFromLevel: LogEventLevel.Verbose);
        }

        // A factory of one provider: the framework's LoggerFactory, with its filters and options, has nothing to add here.
        return new SerilogLoggerFactory(configuration.CreateLogger(), dispose: true);
    }
}
