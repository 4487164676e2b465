using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>How requests get to the server, and how many may be on their way.</summary>
public sealed partial class ZooKeeperClient
{
    private Task<T> SendAsync<T>(
        OpCode type, IJuteRecord body, string? path, PendingRequest<T>.Reader read, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var request = new PendingRequest<T>(type, body, path, _options.RequestBytesMax, read);
        lock (_gate)
        {
            ThrowIfOver(path);
            if (IsFull(request))
            {
                ForgetAbandoned();
                if (IsFull(request))
                {
                    throw new ZooKeeperException(ZooKeeperError.ThrottledOperation, path);
                }
            }

            Admit(request);
            if (_attachment is { } attachment)
            {
                attachment.Send(request);
            }
            else
            {
                _waiting.Enqueue(request);
            }
        }

        return request.WaitAsync(cancellationToken);
    }

    /// <summary>A single request is always let in, however large: its own limit has been checked.</summary>
    private bool IsFull(PendingRequest request) =>
        _requests >= _options.RequestsMax || (_requests > 0 && _requestsBytes + request.Length > _options.RequestsBytesMax);

    /// <summary>Counts a request, until <see cref="Release"/>. Under the gate.</summary>
    private void Admit(PendingRequest request)
    {
        _requests++;
        _requestsBytes += request.Length;
    }

    private void Release(PendingRequest request)
    {
        _requests--;
        _requestsBytes -= request.Length;
    }

    /// <summary>Requests whose callers stopped waiting for a connection need no place any more.</summary>
    private void ForgetAbandoned()
    {
        for (var left = _waiting.Count; left > 0; left--)
        {
            var request = _waiting.Dequeue();
            if (request.IsOver)
            {
                Release(request);
            }
            else
            {
                _waiting.Enqueue(request);
            }
        }
    }

    private static PendingRequest<Stat>.Reader ReadStat(string path) => (ZooKeeperError error, ref JuteReader reader) =>
    {
        ThrowUnlessOk(error, path);
        return Stat.Read(ref reader);
    };

    private static PendingRequest<bool>.Reader ReadNothing(string path) => (ZooKeeperError error, ref JuteReader _) =>
    {
        ThrowUnlessOk(error, path);
        return true;
    };

    private static void ThrowUnlessOk(ZooKeeperError error, string? path)
    {
        if (error != ZooKeeperError.Ok)
        {
            throw new ZooKeeperException(error, path);
        }
    }
}
