using Fabric.ZooKeeper.Server.Sessions;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server;

/// <summary>
/// Everything that survives a restart: the tree, the sessions and the number of the last transaction. Live requests and the
/// replay of the log change it by the same method. Not thread-safe.
/// </summary>
internal sealed class ServerState
{
    public ZnodeTree Tree { get; init; } = ZnodeTree.CreateInitial();

    public SessionTable Sessions { get; init; } = new();

    /// <summary>Number of the last transaction, failed ones included.</summary>
    public long LastZxid { get; set; }

    /// <summary>Does one change, and notes it in the transaction together with its events and its way back.</summary>
    public void Apply(TreeChange change, Transaction transaction)
    {
        ApplyOnly(change, transaction);
        transaction.Changes.Add(change);
    }

    /// <summary>Repeats a transaction from the log.</summary>
    public void Replay(Transaction transaction)
    {
        foreach (var change in transaction.Changes)
        {
            ApplyOnly(change, transaction);
        }

        LastZxid = transaction.Zxid;
    }

    private void ApplyOnly(TreeChange change, Transaction transaction)
    {
        switch (change)
        {
            case TreeChange.OpenSession open:
                Sessions.Open(open.Id, open.Timeout, open.Password);
                break;
            case TreeChange.CloseSession close:
                Tree.DeleteEphemerals(close.Id, transaction);
                Sessions.Close(close.Id);
                break;
            case TreeChange.Create create:
                Tree.Create(create, transaction);
                break;
            case TreeChange.Delete delete:
                Tree.Delete(delete.Path, transaction);
                break;
            case TreeChange.SetData setData:
                Tree.SetData(setData, transaction);
                break;
            case TreeChange.SetAcl setAcl:
                Tree.SetAcl(setAcl);
                break;
            default:
                throw new InvalidOperationException($"unknown change {change.GetType().Name}");
        }
    }
}
