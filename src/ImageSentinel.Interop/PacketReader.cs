using System.Buffers.Binary;
using System.Runtime.InteropServices;
using static ImageSentinel.Interop.NativeConstants;

namespace ImageSentinel.Interop;

/// <summary>Looks at one packet before it is kept: may change its bytes, and says how many of them remain (0: none of it).</summary>
/// <param name="etherType">The link layer's protocol number.</param>
/// <param name="interfaceIndex">Where it was seen.</param>
/// <param name="packet">From the network header on.</param>
/// <param name="note">A byte of the caller's, kept with the packet.</param>
public delegate int PacketEdit(ushort etherType, int interfaceIndex, Span<byte> packet, out byte note);

/// <summary>Reads a packet socket in batches, one system call for many packets.</summary>
/// <remarks>Owns the native memory the kernel writes into, not the socket. One thread.</remarks>
public sealed unsafe class PacketReader : IDisposable
{
    /// <summary>u32 length, then the header that <see cref="CopyTo"/> writes in front of each packet.</summary>
    private const int FrameHeader = sizeof(uint) + 8;

    private readonly PacketSocket _socket;
    private readonly int _slots;
    private readonly int _slotSize;
    private readonly byte* _memory;
    private readonly mmsghdr_native* _headers;
    private readonly sockaddr_ll* _sources;
    private int _received;
    private bool _disposed;

    /// <param name="socket">Borrowed: must outlive the reader.</param>
    /// <param name="slotSize">Bytes kept of a packet; the filter cuts to no more.</param>
    /// <param name="slots">Packets per call.</param>
    public PacketReader(PacketSocket socket, int slotSize, int slots = 64)
    {
        ArgumentNullException.ThrowIfNull(socket);
        _socket = socket;
        _slots = slots;
        _slotSize = slotSize;
        _memory = (byte*)NativeMemory.Alloc((nuint)slots, (nuint)slotSize);
        _sources = (sockaddr_ll*)NativeMemory.AllocZeroed((nuint)slots, (nuint)sizeof(sockaddr_ll));
        _headers = (mmsghdr_native*)NativeMemory.AllocZeroed((nuint)slots, (nuint)(sizeof(mmsghdr_native) + sizeof(iovec_native)));
        var vectors = (iovec_native*)(_headers + slots);
        for (int i = 0; i < slots; i++)
        {
            vectors[i] = new iovec_native { iov_base = _memory + ((long)i * slotSize), iov_len = (nuint)slotSize };
            _headers[i].msg_hdr.msg_name = _sources + i;
            _headers[i].msg_hdr.msg_iov = vectors + i;
            _headers[i].msg_hdr.msg_iovlen = 1;
        }
    }

    ~PacketReader() => Free();

    /// <summary>Packets that the next <see cref="CopyTo"/> may write, and the most bytes they can take.</summary>
    public int LongestBatch => _received * (FrameHeader + _slotSize);

    /// <summary>Takes what is waiting, up to the number of slots, without sleeping.</summary>
    /// <returns>Packets taken.</returns>
    /// <exception cref="LinuxException">ENETDOWN when an interface went away (reading may go on); others are final.</exception>
    public int Receive()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        for (int i = 0; i < _slots; i++)
        {
            _headers[i].msg_hdr.msg_namelen = (uint)sizeof(sockaddr_ll);
            _headers[i].msg_hdr.msg_flags = 0;
            _headers[i].msg_len = 0;
        }

        _received = 0;
        while (true)
        {
            int count = NativeMethods.RecvMMsg(_socket.Number, _headers, (uint)_slots, MSG_DONTWAIT, null);
            if (count >= 0)
            {
                _received = count;
                return count;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno == Errno.EAGAIN)
            {
                return 0;
            }

            if (errno != Errno.EINTR)
            {
                throw new LinuxException("recvmmsg(AF_PACKET)", errno);
            }
        }
    }

    /// <summary>Writes the packets of the last <see cref="Receive"/>, each behind its length (u32) and eight bytes: direction
    /// (u8), the edit's note (u8), link-layer protocol (u16), interface index (u32); little endian.</summary>
    /// <param name="destination">At least <see cref="LongestBatch"/> long.</param>
    /// <param name="edit">Called on each packet first.</param>
    /// <param name="packets">How many were written.</param>
    /// <returns>Bytes written.</returns>
    public int CopyTo(Span<byte> destination, PacketEdit edit, out int packets)
    {
        ArgumentNullException.ThrowIfNull(edit);
        int at = 0;
        packets = 0;
        for (int i = 0; i < _received; i++)
        {
            ushort etherType = BinaryPrimitives.ReverseEndianness(_sources[i].sll_protocol);
            var packet = new Span<byte>(_memory + ((long)i * _slotSize), (int)Math.Min(_headers[i].msg_len, (uint)_slotSize));
            int keep = edit(etherType, _sources[i].sll_ifindex, packet, out byte note);
            if (keep <= 0)
            {
                continue;
            }

            Span<byte> frame = destination[at..];
            BinaryPrimitives.WriteInt32LittleEndian(frame, keep + 8);
            frame[4] = _sources[i].sll_pkttype;
            frame[5] = note;
            BinaryPrimitives.WriteUInt16LittleEndian(frame[6..], etherType);
            BinaryPrimitives.WriteInt32LittleEndian(frame[8..], _sources[i].sll_ifindex);
            packet[..keep].CopyTo(frame[FrameHeader..]);
            at += FrameHeader + keep;
            packets++;
        }

        return at;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

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
