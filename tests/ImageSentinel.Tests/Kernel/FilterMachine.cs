using System.Buffers.Binary;
using ImageSentinel.Kernel.Packets;

namespace ImageSentinel.Tests.Kernel;

/// <summary>Runs a classic socket filter as net/core/filter.c would: what the kernel decides, without a kernel.</summary>
internal static class FilterMachine
{
    private const uint Protocol = 0xFFFF_F000;

    public static uint Run(FilterInstruction[] code, ReadOnlySpan<byte> packet, ushort etherType)
    {
        uint a = 0;
        uint x = 0;
        for (int i = 0; i < code.Length; i++)
        {
            FilterInstruction at = code[i];
            switch (at.Code)
            {
                case 0x20 when at.Value == Protocol:
                    a = etherType;
                    break;
                case 0x20 or 0x28 or 0x30 or 0x40 or 0x48 or 0x50:
                    int size = (at.Code & 0x18) switch { 0x00 => 4, 0x08 => 2, _ => 1 };
                    long offset = at.Value + ((at.Code & 0xE0) == 0x40 ? (long)x : 0);
                    if (offset + size > packet.Length)
                    {
                        return 0;
                    }

                    ReadOnlySpan<byte> from = packet[(int)offset..];
                    a = size == 4 ? BinaryPrimitives.ReadUInt32BigEndian(from) : size == 2 ? BinaryPrimitives.ReadUInt16BigEndian(from) : from[0];
                    break;
                case 0xB1:
                    x = (uint)(packet[(int)at.Value] & 15) * 4;
                    break;
                case 0x01:
                    x = at.Value;
                    break;
                case 0x54:
                    a &= at.Value;
                    break;
                case 0x74:
                    a >>= (int)at.Value;
                    break;
                case 0x0C:
                    a += x;
                    break;
                case 0x07:
                    x = a;
                    break;
                case 0x15:
                    i += a == at.Value ? at.IfTrue : at.IfFalse;
                    break;
                case 0x45:
                    i += (a & at.Value) != 0 ? at.IfTrue : at.IfFalse;
                    break;
                case 0x05:
                    i += (int)at.Value;
                    break;
                case 0x06:
                    return at.Value;
                default:
                    throw new InvalidOperationException($"instruction {at.Code:x} is none this project uses");
            }
        }

        throw new InvalidOperationException("the program ends without a return, which the kernel would refuse");
    }
}
