using System.Buffers;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

/// <summary>Runs every audit parser over a record: for golden files, or only for the effect.</summary>
internal static class AuditDescription
{
    public static object OfLine(byte[] line)
    {
        Assert.That(AuditLogLine.TryParse(line, out AuditRecord record), Is.EqualTo(OperationStatus.Done));

        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        var reader = new AuditFieldReader(record.Fields);
        while (reader.TryRead())
        {
            fields.Add(KernelCorpus.Text(reader.Key), KernelCorpus.Text(reader.Value));
        }

        return new
        {
            record.Type,
            record.TimestampMilliseconds,
            record.Serial,
            Decoded = Decode(record),
            Fields = fields,
        };
    }

    /// <summary>What the parser of the record's type answers; Done for a type without one.</summary>
    public static OperationStatus Status(in AuditRecord record)
    {
        Span<byte> buffer = stackalloc byte[SocketAddress.MaxLength];
        return record.Type switch
        {
            AuditRecordType.Syscall => SyscallRecord.TryParse(record.Fields, out _),
            AuditRecordType.SocketAddress => SocketAddress.TryParseRecord(record.Fields, buffer, out _),
            AuditRecordType.Path => PathRecord.TryParse(record.Fields, out _),
            AuditRecordType.UringOperation => UringRecord.TryParse(record.Fields, out _),
            AuditRecordType.SocketCall => SocketCallRecord.TryParse(record.Fields, out _),
            AuditRecordType.ConfigChange => ConfigChangeRecord.TryParse(record.Fields, out _),
            AuditRecordType.Execve => ReadArguments(record.Fields, stackalloc byte[4096]).IsIncomplete
                ? OperationStatus.InvalidData
                : OperationStatus.Done,
            _ => OperationStatus.Done,
        };
    }

    /// <summary>Every parser, whatever the record's type says; returns the number of fields.</summary>
    public static int Consume(ReadOnlySpan<byte> line)
    {
        if (AuditLogLine.TryParse(line, out AuditRecord record) != OperationStatus.Done)
        {
            return 0;
        }

        ConsumeFields(record.Fields);
        int count = 0;
        var reader = new AuditFieldReader(record.Fields);
        while (reader.TryRead())
        {
            count++;
        }

        return count;
    }

    public static void ConsumeFields(ReadOnlySpan<byte> fields)
    {
        Span<byte> buffer = stackalloc byte[256];
        _ = SyscallRecord.TryParse(fields, out _);
        _ = SocketAddress.TryParseRecord(fields, buffer, out _);
        _ = PathRecord.TryParse(fields, out _);
        _ = UringRecord.TryParse(fields, out _);
        _ = SocketCallRecord.TryParse(fields, out _);
        _ = ConfigChangeRecord.TryParse(fields, out _);
        ExecArguments arguments = ReadArguments(fields, buffer);
        foreach (ReadOnlySpan<byte> argument in arguments)
        {
            _ = argument.Length;
        }

        var reader = new AuditFieldReader(fields);
        while (reader.TryRead())
        {
            _ = AuditValue.Decode(reader.Value, buffer, out _);
            _ = AuditValue.TextEquals(reader.Value, "is-net4"u8);
            _ = AuditValue.DecodedLength(reader.Value);
            _ = AuditValue.TryParse(reader.Value, out long _);
            _ = AuditValue.TryParseHex(reader.Value, out _);
            _ = AuditValue.TryParseOctal(reader.Value, out _);
        }
    }

    private static ExecArguments ReadArguments(ReadOnlySpan<byte> fields, Span<byte> buffer)
    {
        var arguments = new ExecArguments(buffer);
        arguments.Append(fields);
        return arguments;
    }

    private static object? Decode(in AuditRecord record)
    {
        Span<byte> buffer = stackalloc byte[4096];
        switch (record.Type)
        {
            case AuditRecordType.Syscall:
                _ = SyscallRecord.TryParse(record.Fields, out SyscallRecord call);
                return new
                {
                    Architecture = call.Architecture.ToString("x8", null),
                    call.Number,
                    call.Succeeded,
                    call.HasResult,
                    call.Exit,
                    Arguments = new[] { call.A0, call.A1, call.A2, call.A3 },
                    call.ParentProcessId,
                    call.ProcessId,
                    call.LoginUserId,
                    call.UserId,
                    call.EffectiveUserId,
                    call.GroupId,
                    call.SessionId,
                    Command = Decode(call.Command),
                    Executable = Decode(call.Executable),
                    Key = Decode(call.Key),
                };

            case AuditRecordType.SocketAddress:
                _ = SocketAddress.TryParseRecord(record.Fields, buffer, out SocketAddress address);
                return new
                {
                    address.Family,
                    Kind = address.Kind.ToString(),
                    Address = address.IsInternet ? new System.Net.IPAddress(address.Address).ToString() : "",
                    address.Port,
                    address.IsMapped,
                    address.Scope,
                    Name = KernelCorpus.Text(address.Name),
                };

            case AuditRecordType.Path:
                _ = PathRecord.TryParse(record.Fields, out PathRecord path);
                return new
                {
                    path.Item,
                    Name = Decode(path.Name),
                    path.HasInode,
                    path.Inode,
                    Device = $"{path.DeviceMajor}:{path.DeviceMinor}",
                    Mode = Convert.ToString(path.Mode, 8),
                    path.OwnerUserId,
                    NameType = KernelCorpus.Text(path.NameType),
                };

            case AuditRecordType.UringOperation:
                _ = UringRecord.TryParse(record.Fields, out UringRecord operation);
                return new
                {
                    operation.Operation,
                    operation.Succeeded,
                    operation.Exit,
                    operation.IsRetry,
                    operation.ParentProcessId,
                    operation.ProcessId,
                    operation.UserId,
                    Key = Decode(operation.Key),
                };

            case AuditRecordType.SocketCall:
                _ = SocketCallRecord.TryParse(record.Fields, out SocketCallRecord socketCall);
                return new { socketCall.Count, Arguments = new[] { socketCall.A0, socketCall.A1, socketCall.A2, socketCall.A3 } };

            case AuditRecordType.ConfigChange:
                _ = ConfigChangeRecord.TryParse(record.Fields, out ConfigChangeRecord change);
                return new
                {
                    Operation = KernelCorpus.Text(change.Operation),
                    Setting = KernelCorpus.Text(change.Setting),
                    change.Value,
                    change.Old,
                    Key = Decode(change.Key),
                    change.List,
                    change.Succeeded,
                    change.DisablesAudit,
                };

            case AuditRecordType.Execve:
                ExecArguments arguments = ReadArguments(record.Fields, buffer);
                var texts = new List<string>();
                foreach (ReadOnlySpan<byte> argument in arguments)
                {
                    texts.Add(KernelCorpus.Text(argument));
                }

                return new { Arguments = texts };

            default:
                return null;
        }
    }

    private static string Decode(ReadOnlySpan<byte> raw)
    {
        Span<byte> buffer = stackalloc byte[4096];
        Assert.That(AuditValue.Decode(raw, buffer, out int written), Is.EqualTo(OperationStatus.Done));
        return KernelCorpus.Text(buffer[..written]);
    }
}
