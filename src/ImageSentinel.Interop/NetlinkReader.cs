using System.Buffers.Binary;
using System.Runtime.InteropServices;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>What one <see cref="NetlinkReader.Receive"/> brought.</summary>
/// <param name="Records">Datagrams from the kernel, ready for <see cref="NetlinkReader.CopyTo"/>.</param>
/// <param name="FramedBytes">Bytes that <see cref="NetlinkReader.CopyTo"/> will write.</param>
/// <param name="Foreign">Datagrams thrown away because a process sent them, not the kernel.</param>
/// <param name="Truncated">Datagrams thrown away because they did not fit a slot.</param>
/// <param name="Overflowed">The kernel dropped datagrams in front of these (ENOBUFS); it does not say how many.</param>
/// <param name="More">Every slot was filled: more is probably waiting.</param>
public readonly record struct NetlinkReceipt(int Records, int FramedBytes, int Foreign, int Truncated, bool Overflowed, bool More);

/// <summary>Reads a netlink socket in batches, one system call for many datagrams.</summary>
/// <remarks>
/// Owns the native memory the kernel writes into, not the socket. One thread. A datagram is believed only when its
/// source address, which the kernel fills in, says port 0; the port inside the message header is the sender's word.
/// </remarks>
public sealed unsafe class NetlinkReader : IDisposable
{
    /// <summary>Longest datagram taken: an audit record is at most about 8,970 bytes, a netfilter one a page or two.</summary>
    public const int SlotSize = 12 * 1024;

    private const int PrefixSize = sizeof(uint);

    private readonly NetlinkSocket _socket;
    private readonly int _slots;
    private readonly byte* _memory;
    private readonly mmsghdr_native* _headers;
    private readonly sockaddr_nl* _sources;
    private int _received;
    private bool _disposed;

    /// <param name="socket">Borrowed: must outlive the reader.</param>
    /// <param name="slots">Datagrams per call. Untouched slots cost address space, not memory.</param>
    public NetlinkReader(NetlinkSocket socket, int slots = 128)
    {
        ArgumentNullException.ThrowIfNull(socket);
        _socket = socket;
        _slots = slots;
        _memory = (byte*)NativeMemory.Alloc((nuint)slots, SlotSize);
        _sources = (sockaddr_nl*)NativeMemory.AllocZeroed((nuint)slots, (nuint)sizeof(sockaddr_nl));
        _headers = (mmsghdr_native*)NativeMemory.AllocZeroed((nuint)slots, (nuint)(sizeof(mmsghdr_native) + sizeof(iovec_native)));
        var vectors = (iovec_native*)(_headers + slots);
        for (int i = 0; i < slots; i++)
        {
            vectors[i] = new iovec_native { iov_base = _memory + ((long)i * SlotSize), iov_len = SlotSize };
            _headers[i].msg_hdr.msg_name = _sources + i;
            _headers[i].msg_hdr.msg_iov = vectors + i;
            _headers[i].msg_hdr.msg_iovlen = 1;
        }

        _received = slots;
    }

    ~NetlinkReader() => Free();

    /// <summary>Takes what is waiting, up to the number of slots, without sleeping.</summary>
    /// <exception cref="LinuxException">Anything but EINTR, EAGAIN and ENOBUFS: the socket is of no more use.</exception>
    public NetlinkReceipt Receive()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);

        // The kernel writes these back; only headers used by the last call need refreshing.
        for (int i = 0; i < _received; i++)
        {
            _headers[i].msg_hdr.msg_namelen = (uint)sizeof(sockaddr_nl);
            _headers[i].msg_hdr.msg_flags = 0;
            _headers[i].msg_len = 0;
        }

        bool overflowed = false;
        while (true)
        {
            int count = NativeMethods.RecvMMsg(_socket.Number, _headers, (uint)_slots, MSG_DONTWAIT, null);
            if (count >= 0)
            {
                _received = count;
                return Judge(overflowed);
            }

            int errno = Marshal.GetLastPInvokeError();
            switch (errno)
            {
                case Errno.EINTR:
                    continue;
                case Errno.ENOBUFS:
                    // Reported once per overflow; what survived in the buffer is still to be read.
                    overflowed = true;
                    continue;
                case Errno.EAGAIN:
                    _received = 0;
                    return new NetlinkReceipt(0, 0, 0, 0, overflowed, More: false);
                default:
                    _received = 0;
                    throw new LinuxException("recvmmsg(AF_NETLINK)", errno);
            }
        }
    }

    /// <summary>Writes the datagrams of the last <see cref="Receive"/>, each prefixed by its length (u32, little endian).</summary>
    /// <param name="destination">At least <see cref="NetlinkReceipt.FramedBytes"/> long.</param>
    /// <returns>Bytes written.</returns>
    public int CopyTo(Span<byte> destination)
    {
        int at = 0;
        for (int i = 0; i < _received; i++)
        {
            if (!IsGood(i))
            {
                continue;
            }

            int length = (int)_headers[i].msg_len;
            BinaryPrimitives.WriteInt32LittleEndian(destination[at..], length);
            new ReadOnlySpan<byte>(_memory + ((long)i * SlotSize), length).CopyTo(destination[(at + PrefixSize)..]);
            at += PrefixSize + length;
        }

        return at;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private NetlinkReceipt Judge(bool overflowed)
    {
        int records = 0;
        int bytes = 0;
        int foreign = 0;
        int truncated = 0;
        for (int i = 0; i < _received; i++)
        {
            if (!FromKernel(i))
            {
                foreign++;
            }
            else if ((_headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
            {
                truncated++;
            }
            else
            {
                records++;
                bytes += PrefixSize + (int)_headers[i].msg_len;
            }
        }

        return new NetlinkReceipt(records, bytes, foreign, truncated, overflowed, More: _received == _slots);
    }

    private bool IsGood(int slot) => FromKernel(slot) && (_headers[slot].msg_hdr.msg_flags & MSG_TRUNC) == 0;

    private bool FromKernel(int slot)
        => _headers[slot].msg_hdr.msg_namelen >= (uint)sizeof(sockaddr_nl)
            && _sources[slot].nl_family == AF_NETLINK
            && _sources[slot].nl_pid == 0;

    private void Free()
    {
        if (!_disposed)
        {
            _disposed = true;
            NativeMemory.Free(_memory);
            NativeMemory.Free(_sources);
            NativeMemory.Free(_headers);
        }
    }
}
