using System.Globalization;
using System.Text;
using System.Text.Json;
using Fabric.Registry.Profiles;

namespace Fabric.Registry.Discovery;

/// <summary>
/// Expands <c>${zk:PATH}</c> and <c>${zk:PATH#FRAGMENT}</c> in texts of the registry (fabric.md §1.3): innermost first, and again in what was
/// found. A path without a leading slash counts from the containers' configuration. A fragment names a key of a
/// <c>.properties</c> znode or a dotted path into a <c>.json</c> one. What cannot be resolved becomes empty.
/// </summary>
public static class ZkText
{
    private const string Opening = "${zk:";

    /// <summary>Expands a text with what a registry holds now.</summary>
    /// <exception cref="RegistryContentException">The references form a cycle.</exception>
    public static Task<string> ExpandAsync(FabricRegistry registry, string text, CancellationToken cancellationToken = default) =>
        ExpandAsync(text, path => registry.TryGetTextAsync(path, cancellationToken));

    /// <summary>Expands a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="read">Gives a znode's text, null when there is none.</param>
    /// <exception cref="RegistryContentException">The references form a cycle.</exception>
    internal static async Task<string> ExpandAsync(string text, Func<string, Task<string?>> read) =>
        NeedsExpansion(text) ? await new Expansion(read).ExpandAsync(text, []) : text;

    private static bool NeedsExpansion(string text) =>
        text.Contains('\\', StringComparison.Ordinal) || text.Contains(Opening, StringComparison.Ordinal);

    private sealed class Expansion(Func<string, Task<string?>> read)
    {
        public async Task<string> ExpandAsync(string text, HashSet<string> chain)
        {
            var (expanded, _) = await ExpandAsync(text, 0, inReference: false, chain);
            return expanded;
        }

        /// <summary>Expands from a position to the end, or in a reference to its closing brace.</summary>
        private async Task<(string Text, int End)> ExpandAsync(string text, int start, bool inReference, HashSet<string> chain)
        {
            var expanded = new StringBuilder();
            var i = start;
            while (i < text.Length)
            {
                if (text[i] == '\\' && i + 1 < text.Length && text[i + 1] is '{' or '}' or '\\')
                {
                    expanded.Append(text[i + 1]);
                    i += 2;
                }
                else if (inReference && text[i] == '}')
                {
                    return (expanded.ToString(), i);
                }
                else if (string.CompareOrdinal(text, i, Opening, 0, Opening.Length) == 0)
                {
                    var (reference, end) = await ExpandAsync(text, i + Opening.Length, inReference: true, chain);
                    if (end == text.Length)
                    {
                        return (expanded.Append(text, i, text.Length - i).ToString(), end); // never closed: plain text
                    }

                    expanded.Append(await ResolveAsync(reference, chain));
                    i = end + 1;
                }
                else
                {
                    expanded.Append(text[i++]);
                }
            }

            return (expanded.ToString(), i);
        }

        private async Task<string> ResolveAsync(string reference, HashSet<string> chain)
        {
            if (!chain.Add(reference))
            {
                throw new RegistryContentException($"${{zk:{reference}}} refers to itself");
            }

            var hash = reference.IndexOf('#', StringComparison.Ordinal);
            var path = hash < 0 ? reference : reference[..hash];
            path = path.StartsWith('/') ? path : $"{ZnodePaths.ContainerConfigs}/{path}";
            var value = ZooKeeper.Jute.ZnodePath.IsValid(path, out _) ? await read(path) : null;
            if (value is not null && hash >= 0)
            {
                value = Fragment(path, value, reference[(hash + 1)..]);
            }

            var expanded = value is null ? "" : await ExpandAsync(value, chain);
            chain.Remove(reference);
            return expanded;
        }

        private static string? Fragment(string path, string value, string fragment)
        {
            if (path.EndsWith(".properties", StringComparison.Ordinal))
            {
                return PropertiesFile.Parse(value)[fragment];
            }

            return path.EndsWith(".json", StringComparison.Ordinal) ? Scalar(value, fragment) : null;
        }

        private static string? Scalar(string json, string fragment)
        {
            try
            {
                using var document = JsonDocument.Parse(json);
                var element = document.RootElement;
                foreach (var step in fragment.Split('.'))
                {
                    if (element.ValueKind == JsonValueKind.Array
                        && int.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                        && index < element.GetArrayLength())
                    {
                        element = element[index];
                    }
                    else if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(step, out element))
                    {
                        return null;
                    }
                }

                return element.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False
                    ? element.ToString()
                    : null;
            }
            catch (JsonException)
            {
                return null; // like every reference that leads nowhere
            }
        }
    }
}
