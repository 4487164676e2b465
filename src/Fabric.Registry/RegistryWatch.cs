namespace Fabric.Registry;

/// <summary>
/// Keeps a picture that is computed from znodes up to date: computes it again when one of the znodes it was computed from changes or a
/// connection returns, and reports it when it differs. While the registry is away the last picture stands.
/// </summary>
/// <typeparam name="T">The picture; compared with the given comparer.</typeparam>
internal sealed class RegistryWatch<T> : IAsyncDisposable
    where T : class
{
    private readonly WatchedReader _reader;
    private readonly Func<WatchedReader, CancellationToken, Task<T>> _compute;
    private readonly Action<T> _changed;
    private readonly IEqualityComparer<T> _comparer;
    private readonly Reconciler _loop;
    private T? _last;

    /// <param name="registry">What is watched.</param>
    /// <param name="name">For people.</param>
    /// <param name="compute">Reads through the reader it is given, and nothing else.</param>
    /// <param name="changed">Called with the first picture and each different one; quick, never concurrently.</param>
    /// <param name="comparer">Which pictures are the same; null for their own equality.</param>
    public RegistryWatch(
        FabricRegistry registry,
        string name,
        Func<WatchedReader, CancellationToken, Task<T>> compute,
        Action<T> changed,
        IEqualityComparer<T>? comparer = null)
    {
        (_compute, _changed, _comparer) = (compute, changed, comparer ?? EqualityComparer<T>.Default);
        _loop = new Reconciler(registry, name, PassAsync);
        _reader = new WatchedReader(registry, _loop.Wake);
        _loop.Start();
    }

    /// <summary>Waits for a picture that is not older than this call.</summary>
    public Task RefreshAsync(CancellationToken cancellationToken) => _loop.WakeAsync(cancellationToken);

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    private async Task PassAsync(CancellationToken cancellationToken)
    {
        _reader.BeginPass();
        var picture = await _compute(_reader, cancellationToken);
        if (_last is null || !_comparer.Equals(_last, picture))
        {
            _last = picture;
            _changed(picture);
        }
    }
}
