namespace Fabric.Broker;

/// <summary>What a destination is. The numbers are stored; never change them.</summary>
public enum DestinationType : byte
{
    Queue = 1,
    Topic = 2,
    TempQueue = 3,
    TempTopic = 4,
}

/// <summary>
/// The name of a place for messages. For a consumer it may be a pattern (<c>*</c> one element, <c>&gt;</c> the rest) or a
/// list separated by commas; for a producer it may be a list.
/// </summary>
/// <param name="Type">What it names; elements of a list may say otherwise by a prefix such as <c>queue://</c>.</param>
/// <param name="Name">The physical name, without options.</param>
/// <remarks>Source of the rules: ActiveMQ's AnyDestination and DestinationFilter.</remarks>
public readonly record struct DestinationName(DestinationType Type, string Name)
{
    private static readonly (string Prefix, DestinationType Type)[] Prefixes =
    [
        ("queue://", DestinationType.Queue),
        ("topic://", DestinationType.Topic),
        ("temp-queue://", DestinationType.TempQueue),
        ("temp-topic://", DestinationType.TempTopic),
    ];

    /// <summary>Queue or temporary queue.</summary>
    public bool IsQueue => Type is DestinationType.Queue or DestinationType.TempQueue;

    /// <summary>Lives as long as the connection that created it.</summary>
    public bool IsTemporary => Type is DestinationType.TempQueue or DestinationType.TempTopic;

    /// <summary>A list of several names.</summary>
    public bool IsComposite => Name.Contains(',', StringComparison.Ordinal);

    /// <summary>Matches many destinations; only consumers may use it.</summary>
    public bool IsPattern => Name.AsSpan().ContainsAny('*', '>') && HasWildcardElement(Name);

    public static DestinationName Queue(string name) => new(DestinationType.Queue, name);

    public static DestinationName Topic(string name) => new(DestinationType.Topic, name);

    public static DestinationName TempQueue(string name) => new(DestinationType.TempQueue, name);

    public static DestinationName TempTopic(string name) => new(DestinationType.TempTopic, name);

    /// <summary>The elements of a list, without duplicates, in order; itself when it is no list.</summary>
    public IReadOnlyList<DestinationName> Split()
    {
        if (!IsComposite)
        {
            return [this];
        }

        var elements = new List<DestinationName>();
        foreach (var part in Name.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var element = ParseElement(part);
            if (element.Name.Length > 0 && !elements.Contains(element))
            {
                elements.Add(element);
            }
        }

        return elements;
    }

    /// <summary>Whether this pattern covers a concrete destination.</summary>
    public bool Matches(DestinationName destination)
    {
        if (Type != destination.Type)
        {
            return false;
        }

        var pattern = Name.AsSpan();
        var name = destination.Name.AsSpan();
        var nameEnded = false;
        while (true)
        {
            var want = NextElement(ref pattern, out var patternEnded);
            if (want is ">" && patternEnded)
            {
                return true;
            }

            if (nameEnded)
            {
                return false;
            }

            var have = NextElement(ref name, out nameEnded);
            if (want is not "*" && !want.SequenceEqual(have))
            {
                return false;
            }

            if (patternEnded)
            {
                return nameEnded;
            }
        }
    }

    /// <summary>The qualified name, as <c>queue://A</c>.</summary>
    public override string ToString() => Type switch
    {
        DestinationType.Queue => "queue://",
        DestinationType.Topic => "topic://",
        DestinationType.TempQueue => "temp-queue://",
        _ => "temp-topic://",
    } + Name;

    private DestinationName ParseElement(string part)
    {
        foreach (var (prefix, type) in Prefixes)
        {
            if (part.StartsWith(prefix, StringComparison.Ordinal))
            {
                return new DestinationName(type, part[prefix.Length..]);
            }
        }

        return new DestinationName(Type, part);
    }

    private static bool HasWildcardElement(ReadOnlySpan<char> name)
    {
        while (true)
        {
            var element = NextElement(ref name, out var ended);
            if (element is "*" or ">")
            {
                return true;
            }

            if (ended)
            {
                return false;
            }
        }
    }

    private static ReadOnlySpan<char> NextElement(ref ReadOnlySpan<char> rest, out bool ended)
    {
        var dot = rest.IndexOf('.');
        ended = dot < 0;
        var element = ended ? rest : rest[..dot];
        rest = ended ? default : rest[(dot + 1)..];
        return element;
    }
}
