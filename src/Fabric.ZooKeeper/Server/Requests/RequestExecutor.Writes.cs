using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>Requests that take a transaction number, whether they succeed or not.</summary>
internal sealed partial class RequestExecutor
{
    private void ExecuteWrite(in Request request, ref JuteReader body)
    {
        var transaction = BeginTransaction(request.Session.Id);
        Answer answer;
        try
        {
            answer = Attempt(request, ref body, transaction);
        }
        catch (JuteException)
        {
            answer = ZooKeeperError.MarshallingError;
        }
        catch
        {
            // A bug of ours: what it left half done must not stay in the tree. The connection ends.
            transaction.Undo();
            throw;
        }

        Commit(transaction);
        Reply(request, transaction.Zxid, answer);
        if (request.Type == OpCode.CloseSession)
        {
            // Only now, so that the client hears of its own ephemerals before its answer.
            Detach(request.Connection);
            request.Connection.Close(Now);
        }
    }

    private Answer Attempt(in Request request, ref JuteReader body, Transaction transaction)
    {
        switch (request.Type)
        {
            case OpCode.CloseSession:
                _state.Apply(new TreeChange.CloseSession(request.Session.Id), transaction);
                return Answer.Done;
            case OpCode.Reconfig:
                ReconfigRequest.Read(ref body);
                return ZooKeeperError.ReconfigDisabled;
            case OpCode.SetAcl:
                return AttemptSetAcl(RulesFor(request), SetAclRequest.Read(ref body), transaction);
            case OpCode.Multi:
                return AttemptMulti(RulesFor(request), MultiRequest.Read(ref body), transaction);
            default:
                var operation = new MultiOperation(request.Type, ReadWrite(request.Type, ref body));
                var result = AttemptOperation(RulesFor(request), operation, transaction, isInMulti: false);
                return new Answer(result.Error, result.Body);
        }
    }

    private static IJuteRecord ReadWrite(OpCode type, ref JuteReader body) => type switch
    {
        OpCode.CreateTtl => CreateTtlRequest.Read(ref body),
        OpCode.Delete => PathVersionRequest.Read(ref body),
        OpCode.SetData => SetDataRequest.Read(ref body),
        _ => CreateRequest.Read(ref body),
    };

    private WriteRules RulesFor(in Request request) =>
        new(_state.Tree, request.Connection.Identities, request.Session.Id, _options.DataBytesMax);

    private Answer AttemptSetAcl(WriteRules rules, SetAclRequest request, Transaction transaction)
    {
        var verdict = rules.SetAcl(request);
        if (verdict.Error != ZooKeeperError.Ok)
        {
            return verdict.Error;
        }

        _state.Apply(verdict.Change!, transaction);
        return Answer.Of(new StatResponse(_state.Tree.Find(request.Path)!.ToStat()));
    }

    /// <summary>All or nothing: each operation sees the earlier ones, the first failure takes them back (reference §3.5).</summary>
    private Answer AttemptMulti(WriteRules rules, MultiRequest request, Transaction transaction)
    {
        if (request.Operations.Any(operation => operation.Type is OpCode.GetData or OpCode.GetChildren))
        {
            return ZooKeeperError.MarshallingError;
        }

        var results = new List<MultiResult>(request.Operations.Count);
        foreach (var operation in request.Operations)
        {
            var result = AttemptOperation(rules, operation, transaction, isInMulti: true);
            if (result.Error != ZooKeeperError.Ok)
            {
                transaction.Undo();
                return Answer.Of(FailedMulti(results.Count, result, request.Operations.Count));
            }

            results.Add(result);
        }

        return Answer.Of(new MultiResponse(results));
    }

    private static MultiResponse FailedMulti(int failedIndex, MultiResult failure, int count)
    {
        var results = new MultiResult[count];
        Array.Fill(results, MultiResult.Failed(ZooKeeperError.Ok), 0, failedIndex);
        Array.Fill(results, MultiResult.Failed(ZooKeeperError.RuntimeInconsistency), failedIndex, count - failedIndex);
        results[failedIndex] = failure;
        return new MultiResponse(results);
    }

    private MultiResult AttemptOperation(
        WriteRules rules, MultiOperation operation, Transaction transaction, bool isInMulti)
    {
        var verdict = operation.Body switch
        {
            CreateTtlRequest create => rules.Create(
                operation.Type, new CreateRequest(create.Path, create.Data, create.Acl, create.Flags), create.Ttl),
            CreateRequest create => rules.Create(operation.Type, create, ttl: 0),
            SetDataRequest setData => rules.SetData(setData),
            PathVersionRequest check when operation.Type == OpCode.Check => rules.Check(check),
            PathVersionRequest delete => rules.Delete(delete),
            _ => ZooKeeperError.MarshallingError,
        };
        if (verdict.Error != ZooKeeperError.Ok)
        {
            return MultiResult.Failed(verdict.Error);
        }

        if (verdict.Change is { } change)
        {
            _state.Apply(change, transaction);
        }

        return Succeeded(operation.Type, verdict.Change, isInMulti);
    }

    /// <summary>In a multi a create2 is answered like a create, without the Stat (reference §1.12).</summary>
    private MultiResult Succeeded(OpCode type, TreeChange? change, bool isInMulti) => change switch
    {
        TreeChange.Create create when type == OpCode.Create || (type == OpCode.Create2 && isInMulti) =>
            new MultiResult(OpCode.Create, ZooKeeperError.Ok, new PathRecord(create.Path)),
        TreeChange.Create create => new MultiResult(
            OpCode.Create2, ZooKeeperError.Ok, new Create2Response(create.Path, _state.Tree.Find(create.Path)!.ToStat())),
        TreeChange.SetData setData => new MultiResult(
            type, ZooKeeperError.Ok, new StatResponse(_state.Tree.Find(setData.Path)!.ToStat())),
        _ => new MultiResult(type, ZooKeeperError.Ok, null),
    };
}
