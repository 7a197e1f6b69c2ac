using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Baseline;

/// <summary>What the table knows of one destination.</summary>
/// <param name="FirstSeen">Seconds since the epoch.</param>
/// <param name="LastSeen">Seconds since the epoch.</param>
/// <param name="OnTrial">Only containers have gone there, while the host was enforcing already.</param>
public readonly record struct SeenDestination(Destination Destination, uint FirstSeen, uint LastSeen, uint Count, bool OnTrial = false);

/// <summary>
/// Exact set of destinations, 32 bytes a slot: a filter that can say "seen" of something new would be a missed attack.
/// </summary>
/// <remarks>
/// Open addressing, hashed by address alone, so that one probe run answers both "this destination?" and "this address
/// on another port?". Ports kept per address are bounded, which also bounds the run a port scan can make.
/// </remarks>
public sealed class DestinationTable
{
    /// <summary>Ports remembered of one address; beyond, the address counts as seen on any port.</summary>
    public const int PortsPerAddress = 64;

    private const uint Trial = 0x4000_0000;

    private const double MaximumLoad = 0.85;
    private const double Growth = 1.25;

    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64();

    private ulong[] _high;
    private ulong[] _low;
    private uint[] _port; // bit 31: used; bit 30: on trial; bits 16..23: transport; bits 0..15: port
    private uint[] _first;
    private uint[] _last;
    private uint[] _count;

    public DestinationTable(int capacity = 1024)
    {
        int slots = Math.Max(64, (int)(capacity / MaximumLoad) + 1);
        _high = new ulong[slots];
        _low = new ulong[slots];
        _port = new uint[slots];
        _first = new uint[slots];
        _last = new uint[slots];
        _count = new uint[slots];
    }

    public int Count { get; private set; }

    /// <summary>Bytes of the table's arrays.</summary>
    public long Bytes => _port.LongLength * 32;

    public bool TryFind(Destination destination, out SeenDestination seen, out bool addressKnown)
    {
        int slot = Locate(destination, out addressKnown, out int ports, out _);
        if (slot >= 0)
        {
            seen = At(slot);
            return true;
        }

        seen = default;
        return ports >= PortsPerAddress;
    }

    /// <returns>True when the destination is new to the table, or no longer on trial.</returns>
    public bool Add(Destination destination, uint seconds, bool onTrial = false)
    {
        int slot = Locate(destination, out _, out int ports, out int trials);
        if (slot >= 0)
        {
            _last[slot] = Math.Max(_last[slot], seconds);
            _count[slot] += _count[slot] < uint.MaxValue ? 1u : 0u;
            bool lifted = !onTrial && (_port[slot] & Trial) != 0;
            _port[slot] &= lifted ? ~Trial : uint.MaxValue;
            return lifted;
        }

        if (ports >= PortsPerAddress || (onTrial && trials >= PortsPerAddress))
        {
            return false;
        }

        Insert(new SeenDestination(destination, seconds, seconds, 1, onTrial));
        return true;
    }

    /// <summary>Puts back what an earlier run had stored.</summary>
    public void Restore(in SeenDestination seen)
    {
        int slot = Locate(seen.Destination, out _, out int ports, out int trials);
        if (slot < 0 && ports < PortsPerAddress && trials < PortsPerAddress)
        {
            Insert(seen);
        }
    }

    /// <summary>Removes all that match; returns how many.</summary>
    public int Remove(Func<Destination, bool> match)
    {
        var kept = new List<SeenDestination>();
        int removed = 0;
        foreach (SeenDestination seen in All())
        {
            if (match(seen.Destination))
            {
                removed++;
            }
            else
            {
                kept.Add(seen);
            }
        }

        if (removed > 0)
        {
            Array.Clear(_port);
            Count = 0;
            foreach (SeenDestination seen in kept)
            {
                Insert(seen);
            }
        }

        return removed;
    }

    public IEnumerable<SeenDestination> All()
    {
        for (int i = 0; i < _port.Length; i++)
        {
            if (_port[i] != 0)
            {
                yield return At(i);
            }
        }
    }

    private static uint Pack(Destination d) => 0x8000_0000u | ((uint)d.Protocol << 16) | d.Port;

    private SeenDestination At(int slot) => new(
        new Destination(new NetAddress(_high[slot], _low[slot]), (ushort)_port[slot], (EgressProtocol)(byte)(_port[slot] >> 16)),
        _first[slot],
        _last[slot],
        _count[slot],
        (_port[slot] & Trial) != 0);

    private int Start(NetAddress address)
    {
        ulong hash = (address.High ^ Seed) * 0x9E37_79B9_7F4A_7C15;
        hash = (hash ^ (hash >> 32) ^ address.Low) * 0xD6E8_FEB8_6659_FD93;
        hash ^= hash >> 32;
        return (int)(((hash & 0xFFFF_FFFF) * (ulong)_port.Length) >> 32);
    }

    // Ports on trial make neither the address known nor, by their number, all its ports.
    private int Locate(Destination destination, out bool addressKnown, out int ports, out int trials)
    {
        addressKnown = false;
        ports = 0;
        trials = 0;
        uint wanted = Pack(destination);
        int slots = _port.Length;
        for (int slot = Start(destination.Address); _port[slot] != 0; slot = slot + 1 == slots ? 0 : slot + 1)
        {
            if (_low[slot] != destination.Address.Low || _high[slot] != destination.Address.High)
            {
                continue;
            }

            bool onTrial = (_port[slot] & Trial) != 0;
            addressKnown |= !onTrial;
            if ((_port[slot] & ~Trial) == wanted)
            {
                return slot;
            }

            ports += onTrial ? 0 : 1;
            trials += onTrial ? 1 : 0;
        }

        return -1;
    }

    private void Insert(in SeenDestination seen)
    {
        if (Count + 1 > _port.Length * MaximumLoad)
        {
            Grow();
        }

        int slots = _port.Length;
        int slot = Start(seen.Destination.Address);
        while (_port[slot] != 0)
        {
            slot = slot + 1 == slots ? 0 : slot + 1;
        }

        _high[slot] = seen.Destination.Address.High;
        _low[slot] = seen.Destination.Address.Low;
        _port[slot] = Pack(seen.Destination) | (seen.OnTrial ? Trial : 0);
        _first[slot] = seen.FirstSeen;
        _last[slot] = seen.LastSeen;
        _count[slot] = seen.Count;
        Count++;
    }

    private void Grow()
    {
        (ulong[] high, ulong[] low, uint[] port, uint[] first, uint[] last, uint[] count)
            = (_high, _low, _port, _first, _last, _count);
        int slots = (int)Math.Min(int.MaxValue / 8, (port.Length * Growth) + 64);
        _high = new ulong[slots];
        _low = new ulong[slots];
        _port = new uint[slots];
        _first = new uint[slots];
        _last = new uint[slots];
        _count = new uint[slots];
        Count = 0;
        for (int i = 0; i < port.Length; i++)
        {
            if (port[i] != 0)
            {
                Insert(new SeenDestination(
                    new Destination(new NetAddress(high[i], low[i]), (ushort)port[i], (EgressProtocol)(byte)(port[i] >> 16)),
                    first[i],
                    last[i],
                    count[i],
                    (port[i] & Trial) != 0));
            }
        }
    }
}
