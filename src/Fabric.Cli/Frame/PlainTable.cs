namespace Fabric.Cli.Frame;

/// <summary>
/// A table for people and for scripts that split on runs of blanks: no borders, no tabs, no colour, never wrapped and never cut
/// (REQ-22). Each column is as wide as its widest cell, or wider when it has a minimum.
/// </summary>
/// <param name="headers">Heads of the columns, without brackets.</param>
internal sealed class PlainTable(params string[] headers)
{
    private readonly List<string[]> _rows = [];

    /// <summary>Blanks between columns. Default 2.</summary>
    public int Gap { get; init; } = 2;

    /// <summary>Least widths, by column; columns beyond the list have none.</summary>
    public IReadOnlyList<int> WidthsMin { get; init; } = [];

    /// <summary>Whether the last column is padded too. Default no: lines have no trailing blanks.</summary>
    public bool PadsLast { get; init; }

    /// <summary>Adds a row; missing cells are blank.</summary>
    public void Add(params string[] cells) => _rows.Add(cells);

    public void Write(TextWriter output)
    {
        string[][] lines = [[.. headers.Select(header => $"[{header}]")], .. _rows];
        var widths = Enumerable.Range(0, headers.Length)
            .Select(column => Math.Max(WidthsMin.ElementAtOrDefault(column), lines.Max(line => Cell(line, column).Length)))
            .ToArray();
        foreach (var line in lines)
        {
            var text = string.Join(new string(' ', Gap), widths.Select((width, column) => Cell(line, column).PadRight(width)));
            output.WriteLine(PadsLast ? text : text.TrimEnd());
        }
    }

    private static string Cell(string[] line, int column) => column < line.Length ? line[column] : "";
}
