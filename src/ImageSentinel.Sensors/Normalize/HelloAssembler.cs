using System.Buffers;
using System.Text;
using ImageSentinel.Detection.Model;
using ImageSentinel.Kernel.Packets;

namespace ImageSentinel.Sensors.Normalize;

/// <summary>What a segment turned out to be.</summary>
/// <param name="IsHello">It belongs to a ClientHello, whole by now or not.</param>
/// <param name="Name">Empty while it is not whole, and when it names nobody.</param>
internal readonly record struct HelloPart(bool IsHello, string Name, bool Encrypted)
{
    public static HelloPart None { get; }
}

/// <summary>Puts ClientHellos together that came in several segments. Few at a time, each small, none for long.</summary>
internal sealed class HelloAssembler
{
    private const int MaximumFlows = 128;
    private const long Patience = 5 * Stamp.Second;

    private readonly Dictionary<(NetAddress Client, ushort Port, NetAddress Server, ushort ServerPort), Partial> _flows = [];

    public bool Expects(NetAddress client, NetAddress server, in TransportSegment segment)
        => _flows.Count > 0 && _flows.ContainsKey((client, segment.SourcePort, server, segment.DestinationPort));

    /// <param name="client">Who sends.</param>
    /// <param name="server">To whom.</param>
    /// <param name="segment">Begins a hello, or goes on with one that <see cref="Expects"/> knows.</param>
    /// <param name="at">When.</param>
    /// <param name="scratch">At least <see cref="ClientHello.MaximumStream"/> bytes.</param>
    public HelloPart Take(NetAddress client, NetAddress server, in TransportSegment segment, Stamp at, byte[] scratch)
    {
        (NetAddress, ushort, NetAddress, ushort) key = (client, segment.SourcePort, server, segment.DestinationPort);
        if (_flows.TryGetValue(key, out Partial? partial))
        {
            if (!partial.Add(segment.Sequence, segment.Data))
            {
                // A copy of what is there already, or it goes on where nothing is.
                return new HelloPart(true, "", false);
            }
        }
        else
        {
            OperationStatus first = ClientHello.TryParse(segment.Data, scratch, out ClientHello hello);
            if (first == OperationStatus.NeedMoreData)
            {
                MakeRoom(at);
                _flows[key] = new Partial(segment.Sequence, segment.Data, at);
                return new HelloPart(true, "", false);
            }

            return Told(first, hello);
        }

        OperationStatus status = ClientHello.TryParse(partial.Bytes, scratch, out ClientHello whole);
        if (status == OperationStatus.NeedMoreData && !partial.IsFull)
        {
            return new HelloPart(true, "", false);
        }

        _ = _flows.Remove(key);
        return Told(status, whole);
    }

    private static HelloPart Told(OperationStatus status, in ClientHello hello) => status == OperationStatus.Done
        ? new HelloPart(true, NameText.Of(hello.Name, withPort: false), hello.IsEncrypted)
        : new HelloPart(true, "", false);

    private void MakeRoom(Stamp at)
    {
        if (_flows.Count < MaximumFlows)
        {
            return;
        }

        foreach (var key in _flows.Where(f => at.Since(f.Value.Since) > Patience).Select(static f => f.Key).ToList())
        {
            _ = _flows.Remove(key);
        }

        if (_flows.Count >= MaximumFlows)
        {
            _flows.Clear();
        }
    }

    private sealed class Partial
    {
        private readonly uint _start;
        private byte[] _bytes;

        public Partial(uint start, ReadOnlySpan<byte> data, Stamp since)
        {
            _start = start;
            _bytes = data[..Math.Min(data.Length, ClientHello.MaximumStream)].ToArray();
            Since = since;
        }

        public Stamp Since { get; }

        public ReadOnlySpan<byte> Bytes => _bytes;

        public bool IsFull => _bytes.Length >= ClientHello.MaximumStream;

        public bool Add(uint sequence, ReadOnlySpan<byte> data)
        {
            if (sequence != unchecked(_start + (uint)_bytes.Length))
            {
                return false;
            }

            int room = Math.Min(data.Length, ClientHello.MaximumStream - _bytes.Length);
            _bytes = [.. _bytes, .. data[..room]];
            return room > 0;
        }
    }
}
