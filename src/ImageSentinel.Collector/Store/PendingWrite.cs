using Microsoft.Data.Sqlite;

namespace ImageSentinel.Collector.Store;

/// <summary>A change that waits for its turn, and then for the commit it shares with others.</summary>
internal abstract class PendingWrite
{
    /// <summary>Makes the change inside the transaction. What fails here by its own fault is undone alone.</summary>
    public abstract void Run(WriteCommands commands, SqliteTransaction transaction);

    public abstract void Succeed();

    public abstract void Fail(Exception error);
}

internal sealed class PendingWrite<T>(Func<WriteCommands, T> write) : PendingWrite
{
    private const string Savepoint = "one";

    private readonly TaskCompletionSource<T> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _result;
    private Exception? _refusal;

    public Task<T> Answer => _answer.Task;

    public override void Run(WriteCommands commands, SqliteTransaction transaction)
    {
        transaction.Save(Savepoint);
        try
        {
            _result = write(commands);
        }
        catch (IdentityException refusal)
        {
            transaction.Rollback(Savepoint);
            _refusal = refusal;
        }

        transaction.Release(Savepoint);
    }

    public override void Succeed()
    {
        if (_refusal is null)
        {
            _answer.TrySetResult(_result!);
        }
        else
        {
            _answer.TrySetException(_refusal);
        }
    }

    public override void Fail(Exception error) => _answer.TrySetException(error);
}
