namespace Fabric.Protocols.OpenWire;

/// <summary>
/// An exception as it travels (reference §1.7). The class name decides what a JMS application sees; it is text only and
/// nothing is ever instantiated from it.
/// </summary>
/// <param name="ClassName">Java class; send <c>javax.jms.*</c> names, which newer peers map themselves.</param>
/// <param name="Message">What happened, for people; may be null.</param>
/// <param name="StackTrace">Empty unless stack traces were negotiated.</param>
/// <param name="Cause">Null unless stack traces were negotiated.</param>
public sealed record BrokerError(
    string ClassName, string? Message, IReadOnlyList<StackTraceElement> StackTrace, BrokerError? Cause)
{
    public BrokerError(string className, string? message)
        : this(className, message, [], null)
    {
    }

    public override string ToString() => $"{ClassName}: {Message}";
}

/// <summary>One line of a Java stack trace.</summary>
public readonly record struct StackTraceElement(string? ClassName, string? MethodName, string? FileName, int LineNumber);
