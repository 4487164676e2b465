using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fabric.Registry;

namespace Fabric.Cli.Frame;

/// <summary>One run of a command: its options' values and what it may touch.</summary>
internal sealed class Invocation(ParseResult parsed, GlobalOptions globals, CliContext context, CancellationToken cancellationToken)
{
    private static readonly JsonWriterOptions Indented =
        new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public CliContext Context => context;

    /// <summary>Cancelled by Ctrl+C and SIGTERM.</summary>
    public CancellationToken CancellationToken => cancellationToken;

    public TextWriter Out => context.Out;

    public TextWriter Error => context.Error;

    /// <summary>Whether the output is to be JSON.</summary>
    public bool IsJson => parsed.GetValue(globals.Output) == "json";

    /// <summary>How to reach the registry.</summary>
    public RegistryOptions RegistryOptions => globals.RegistryOf(parsed, context);

    /// <summary>The registry's hosts when they stand on the command line; null when they come from elsewhere.</summary>
    public string? GivenZooKeeper => IsGiven(globals.ZooKeeper) ? globals.HostsOf(parsed) : null;

    public T? Get<T>(Option<T> option) => parsed.GetValue(option);

    public T? Get<T>(Argument<T> argument) => parsed.GetValue(argument);

    /// <summary>Whether the option stands on the command line, as opposed to having its default.</summary>
    public bool IsGiven(Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>Connects to the registry; the caller disposes.</summary>
    public Task<FabricRegistry> ConnectAsync() =>
        FabricRegistry.ConnectAsync(context.Runtime, RegistryOptions, null, cancellationToken);

    /// <summary>Writes a JSON document to the output.</summary>
    public void WriteJson(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Indented))
        {
            write(writer);
        }

        context.Out.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }
}
