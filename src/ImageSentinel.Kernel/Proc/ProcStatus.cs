using System.Buffers;
using ImageSentinel.Kernel.Audit;

namespace ImageSentinel.Kernel.Proc;

/// <summary>What is wanted of <c>/proc/PID/status</c> (proc_pid_status(5)).</summary>
public readonly struct ProcStatus : IEquatable<ProcStatus>
{
    public int ProcessId { get; private init; }

    public int ParentProcessId { get; private init; }

    /// <summary>Process that traces this one, or zero.</summary>
    public int TracerProcessId { get; private init; }

    public uint UserId { get; private init; }

    public uint EffectiveUserId { get; private init; }

    public uint GroupId { get; private init; }

    public uint EffectiveGroupId { get; private init; }

    /// <summary>Pid in the innermost pid namespace; equals <see cref="ProcessId"/> outside containers.</summary>
    public int InnermostProcessId { get; private init; }

    /// <summary>Pid namespaces from ours inwards: 1 on the host, 2 in a container.</summary>
    public int NamespaceDepth { get; private init; }

    /// <returns>NeedMoreData when one of Tgid, PPid, Uid or Gid is missing; NSpid is optional (kernels built without
    /// pid namespaces have none).</returns>
    public static OperationStatus TryParse(ReadOnlySpan<byte> content, out ProcStatus status)
    {
        status = default;
        int process = -1, parent = -1, tracer = 0, innermost = 0, depth = 0;
        uint user = 0, effectiveUser = 0, group = 0, effectiveGroup = 0;
        bool hasUser = false, hasGroup = false;

        ReadOnlySpan<byte> rest = content;
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];

            int colon = line.IndexOf((byte)':');
            if (colon < 0)
            {
                continue;
            }

            // The name stands in the first line with its line ends escaped, so no line can be forged with it.
            ReadOnlySpan<byte> key = line[..colon];
            ReadOnlySpan<byte> value = line[(colon + 1)..];
            bool valid = true;
            if (key.SequenceEqual("Tgid"u8))
            {
                valid = AuditValue.TryParse(TakeWord(ref value), out process);
            }
            else if (key.SequenceEqual("PPid"u8))
            {
                valid = AuditValue.TryParse(TakeWord(ref value), out parent);
            }
            else if (key.SequenceEqual("TracerPid"u8))
            {
                valid = AuditValue.TryParse(TakeWord(ref value), out tracer);
            }
            else if (key.SequenceEqual("Uid"u8))
            {
                hasUser = TryReadPair(value, out user, out effectiveUser);
                valid = hasUser;
            }
            else if (key.SequenceEqual("Gid"u8))
            {
                hasGroup = TryReadPair(value, out group, out effectiveGroup);
                valid = hasGroup;
            }
            else if (key.SequenceEqual("NSpid"u8))
            {
                for (ReadOnlySpan<byte> word = TakeWord(ref value); !word.IsEmpty && valid; word = TakeWord(ref value))
                {
                    valid = AuditValue.TryParse(word, out innermost);
                    depth++;
                }
            }

            if (!valid)
            {
                return OperationStatus.InvalidData;
            }
        }

        if (process < 0 || parent < 0 || !hasUser || !hasGroup)
        {
            return OperationStatus.NeedMoreData;
        }

        status = new ProcStatus
        {
            ProcessId = process,
            ParentProcessId = parent,
            TracerProcessId = tracer,
            UserId = user,
            EffectiveUserId = effectiveUser,
            GroupId = group,
            EffectiveGroupId = effectiveGroup,
            InnermostProcessId = depth > 0 ? innermost : process,
            NamespaceDepth = Math.Max(depth, 1),
        };
        return OperationStatus.Done;
    }

    public static bool operator ==(ProcStatus left, ProcStatus right) => left.Equals(right);

    public static bool operator !=(ProcStatus left, ProcStatus right) => !left.Equals(right);

    public bool Equals(ProcStatus other)
        => ProcessId == other.ProcessId && ParentProcessId == other.ParentProcessId && TracerProcessId == other.TracerProcessId
            && UserId == other.UserId && EffectiveUserId == other.EffectiveUserId && GroupId == other.GroupId
            && EffectiveGroupId == other.EffectiveGroupId && InnermostProcessId == other.InnermostProcessId
            && NamespaceDepth == other.NamespaceDepth;

    public override bool Equals(object? obj) => obj is ProcStatus other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(ProcessId, ParentProcessId, UserId);

    private static bool TryReadPair(ReadOnlySpan<byte> value, out uint real, out uint effective)
    {
        effective = 0;
        return AuditValue.TryParse(TakeWord(ref value), out real) && AuditValue.TryParse(TakeWord(ref value), out effective);
    }

    private static ReadOnlySpan<byte> TakeWord(scoped ref ReadOnlySpan<byte> text)
    {
        text = text.TrimStart("\t "u8);
        int end = text.IndexOfAny((byte)'\t', (byte)' ');
        ReadOnlySpan<byte> word = end < 0 ? text : text[..end];
        text = end < 0 ? default : text[end..];
        return word;
    }
}
