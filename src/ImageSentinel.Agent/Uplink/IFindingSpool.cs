using ImageSentinel.V1;

namespace ImageSentinel.Agent.Uplink;

/// <summary>Where every record goes first. Thread safe.</summary>
internal interface IFindingSpool
{
    /// <summary>Takes the record in; when the receipt says durable, it survives kill -9 and a power cut.</summary>
    /// <remarks>Never throws for a disk that is full or broken: the record then waits in memory, the receipt says so,
    /// and <see cref="SpoolStatus.Problem"/> tells why.</remarks>
    SpoolReceipt Append(OutputRecord record);

    /// <summary>Takes several in with one write to the disk; in the same order.</summary>
    SpoolReceipt Append(IReadOnlyList<OutputRecord> records);
}

/// <summary>What became of an append. <paramref name="LastSequence"/> is that of the last record written, 0 when
/// nothing was written or when nobody is to be sent anything.</summary>
internal readonly record struct SpoolReceipt(bool Durable, ulong LastSequence);

/// <summary>One row of the spool: a serialized <see cref="OutputRecord"/>.</summary>
internal readonly record struct SpooledBytes(ulong Sequence, byte[] Record);

/// <summary>How the spool is doing.</summary>
/// <param name="Depth">Records on disk that the collector has not acknowledged.</param>
/// <param name="Bytes">Their size.</param>
/// <param name="Waiting">Records in memory because the disk does not take them.</param>
/// <param name="GivenUp">Records dropped since the state directory was made, because a limit was reached.</param>
/// <param name="Problem">One line when the disk does not take records now; otherwise null.</param>
/// <param name="Damage">One line when this run found the file damaged and moved it aside; otherwise null.</param>
internal sealed record SpoolStatus(long Depth, long Bytes, int Waiting, ulong GivenUp, string? Problem, string? Damage);
