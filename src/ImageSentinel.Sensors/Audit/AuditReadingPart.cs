using System.Buffers;
using System.Buffers.Binary;
using ImageSentinel.Interop;
using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Netlink;
using ImageSentinel.Sensors.Reading;
using ImageSentinel.Sensors.Stream;
using static ImageSentinel.Kernel.Numbers.AuditConstants;
using static ImageSentinel.Kernel.Numbers.NetlinkConstants;

namespace ImageSentinel.Sensors.Audit;

/// <summary>The reading side of the audit sensor: by multicast, or as the host's audit daemon while nobody else is.</summary>
/// <remarks>
/// Owns the pump and with it the reading socket. In the daemon's role the kernel knows us by that socket's port, so
/// the role is asked for and given back through it. Called under the sensor's lock.
/// </remarks>
internal sealed class AuditReadingPart(
    AuditSensorOptions options, ISensorQueue queue, LossLedger ledger, Action<Exception> onFailure, Action onRoleWanted) : IDisposable
{
    private NetlinkPump? _pump;

    public AuditReading Kind { get; private set; }

    /// <exception cref="LinuxException">EPERM without CAP_AUDIT_READ.</exception>
    public void Start(in AuditStatus status)
    {
        if (options.Reading == AuditReading.Owner && status.Enabled != AuditSettings.Locked && ForeignOwner(status) is null && TryOwn())
        {
            return;
        }

        ReadMulticast();
    }

    /// <summary>The registered audit daemon if it is alive and not us.</summary>
    /// <remarks>After kill -9 the kernel keeps the dead pid until it next has a record to deliver.</remarks>
    public static int? ForeignOwner(in AuditStatus status)
    {
        int pid = (int)status.OwnerProcessId;
        return pid == 0 || pid == Environment.ProcessId || !ProcessStat.TryReadStartTime(pid, out _) ? null : pid;
    }

    /// <summary>Looks whether the role changed hands.</summary>
    /// <returns>See <see cref="ForeignOwner"/>.</returns>
    public int? Follow(in AuditStatus now)
    {
        // The kernel drops a daemon whose socket stayed full. Multicast has no such rule, and one change is enough.
        if (Kind == AuditReading.Owner && now.OwnerProcessId != (uint)Environment.ProcessId)
        {
            Yield();
        }

        return ForeignOwner(now);
    }

    /// <summary>Gives the role back and reads by multicast from now on. Nothing is lost; some records come twice.</summary>
    public void Yield()
    {
        if (Kind == AuditReading.Owner)
        {
            NetlinkPump? owner = _pump;
            ReadMulticast();
            Release(owner);
        }
    }

    public void Dispose()
    {
        NetlinkPump? pump = _pump;
        _pump = null;
        if (Kind == AuditReading.Owner)
        {
            Release(pump);
        }
        else
        {
            pump?.Dispose();
        }
    }

    private static void Release(NetlinkPump? owner)
    {
        try
        {
            // Only the registered socket may; if the kernel has another by now, it refuses and that is right.
            Span<byte> message = stackalloc byte[NetlinkFrame.HeaderSize + AuditStatus.Size];
            Register(message, ownerPid: 0, acknowledge: false);
            owner?.Socket.Send(message);
        }
        catch (LinuxException)
        {
            // Closing the socket below ends the role at the kernel's next record.
        }

        owner?.Dispose();
    }

    private void ReadMulticast()
    {
        NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Audit, groups: 1u << (int)(AUDIT_NLGRP_READLOG - 1));
        Kind = AuditReading.Multicast;
        Pump(socket, peek: null);
    }

    private bool TryOwn()
    {
        NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Audit);
        Span<byte> message = stackalloc byte[NetlinkFrame.HeaderSize + AuditStatus.Size];
        Register(message, (uint)Environment.ProcessId, acknowledge: true);
        socket.Send(message);
        int errno = AwaitAcknowledgement(socket);
        if (errno != 0)
        {
            // EEXIST: a living daemon has the role. Not ours to take.
            socket.Dispose();
            return false;
        }

        Kind = AuditReading.Owner;
        Pump(socket, batch =>
        {
            if (AuditRoleWish.IsIn(batch))
            {
                onRoleWanted();
            }
        });
        return true;
    }

    // Records may already come in front of the answer; those of this instant are before any rule of ours and are let go.
    private static int AwaitAcknowledgement(NetlinkSocket socket)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(NetlinkReader.SlotSize);
        try
        {
            while (socket.WaitReadable(TimeSpan.FromSeconds(2)))
            {
                int length = socket.Receive(buffer, out uint sender);
                if (length > 0 && sender == 0
                    && NetlinkFrame.TryReadAudit(buffer.AsSpan(0, length), out NetlinkFrame frame) == OperationStatus.Done
                    && frame.Type == NLMSG_ERROR
                    && NetlinkError.TryParse(frame, out NetlinkError error) == OperationStatus.Done)
                {
                    return error.Errno;
                }
            }

            return Errno.ETIMEDOUT;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Register(Span<byte> message, uint ownerPid, bool acknowledge)
    {
        message.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(message[4..], AUDIT_SET);
        BinaryPrimitives.WriteUInt16LittleEndian(message[6..], (ushort)(NLM_F_REQUEST | (acknowledge ? NLM_F_ACK : 0)));
        new AuditStatus { OwnerProcessId = ownerPid }.WriteSet(message[NetlinkFrame.HeaderSize..], AUDIT_STATUS_PID);
    }

    private void Pump(NetlinkSocket socket, BatchPeek? peek)
    {
        socket.SetReceiveBuffer(options.ReceiveBuffer);
        _pump = new NetlinkPump(SensorKind.Audit, socket, queue, ledger, "is-audit", onFailure) { Peek = peek };
        _pump.Start();
    }
}
