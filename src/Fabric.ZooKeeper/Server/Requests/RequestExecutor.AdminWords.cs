using System.Text;
using Fabric.ZooKeeper.Server.Connections;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>What the admin words ask.</summary>
internal sealed partial class RequestExecutor
{
    /// <summary>Answers a four-letter word and closes the connection; an unknown one is only closed.</summary>
    public void AnswerWord(ServerConnection connection, string word)
    {
        lock (_gate)
        {
            if (!connection.IsClosing && !_isStopped)
            {
                var text = AdminWords.Answer(word, View());
                Queue(connection, new OutgoingFrame(Encoding.UTF8.GetBytes(text), 0, 0, 0));
            }

            connection.Close(Now);
        }
    }

    private ServerView View() => new(
        _options,
        Statistics,
        DurableZxid,
        [.. _connections],
        _connections.Sum(connection => connection.Outgoing.Count),
        _state,
        _watches,
        Now);
}
