using System.Globalization;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;

namespace ImageSentinel.Detection.Names;

/// <summary>Questions to a resolver that carry data: many different long names of machine-made text below one zone, by one
/// step. The resolver is known, so no destination gives it away.</summary>
internal sealed class NameTunnelDetector(FindingBook book)
{
    private const long Window = 60 * Stamp.Second;
    private const int MaximumZones = 64;
    private const int MaximumNames = 2048;

    // A package manager asks for a handful of names; a content network's machine-made ones are few and repeat.
    private const int ManyNames = 50;
    private const int LongPayload = 20;
    private const double HighEntropy = 3.0;

    // Slow, but this much was carried: a few kilobytes are a key or a password file.
    private const int ManyBytes = 4096;

    private static readonly HashSet<string> s_secondLevel = new(StringComparer.Ordinal) { "co", "com", "org", "net", "gov", "ac", "edu" };

    public void Judge(BuildStep step, ReadOnlySpan<char> name, Stamp at)
    {
        int cut = ZoneStart(name);
        if (step.Build is not { } build || cut <= 0 || name.EndsWith(".arpa"))
        {
            return;
        }

        ReadOnlySpan<char> payload = name[..(cut - 1)];
        Dictionary<string, ZoneAsked> zones = step.NamesAsked ??= new Dictionary<string, ZoneAsked>(StringComparer.Ordinal);
        Dictionary<string, ZoneAsked>.AlternateLookup<ReadOnlySpan<char>> lookup = zones.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!lookup.TryGetValue(name[cut..], out ZoneAsked? zone))
        {
            if (zones.Count >= MaximumZones)
            {
                return;
            }

            lookup[name[cut..]] = zone = new ZoneAsked(at);
        }

        if (zone.Names.Count >= MaximumNames || !zone.Names.Add(string.GetHashCode(payload, StringComparison.Ordinal)))
        {
            return;
        }

        if (at.Since(zone.Since) > Window)
        {
            zone.Since = at;
            zone.InWindow = 0;
        }

        zone.InWindow++;
        zone.Bytes += payload.Length;
        zone.Entropy += Entropy(payload);
        double length = (double)zone.Bytes / zone.Names.Count;
        double entropy = zone.Entropy / zone.Names.Count;
        bool many = zone.InWindow >= ManyNames || zone.Bytes >= ManyBytes;
        if (many && length >= LongPayload && entropy >= HighEntropy && zone.Names.Count >= zone.Told + ManyNames)
        {
            zone.Told = zone.Names.Count;
            Tell(build, step, name[cut..], zone, length, entropy, at);
        }
    }

    private void Tell(Build build, BuildStep step, ReadOnlySpan<char> name, ZoneAsked zone, double length, double entropy, Stamp at)
    {
        Finding finding = book.Of(build, DetectorDefinition.NameTunnel, at);
        finding.Step = step;
        finding.Severity = Severity.High;
        finding.Message = string.Create(
            CultureInfo.InvariantCulture,
            $"{StepText.Describe(step)} asked for {zone.Names.Count} different names below {SafeText.Display(name.ToString(), 120)}, {length:0} characters long on average and {entropy:0.0} bits of entropy in each: {zone.Bytes} bytes carried in questions.");
        finding.Replace(new Evidence(at, finding.Message));
        book.Changed(finding, at);
        BuildRegistry.Touch(build, at);
    }

    // Where the part begins that somebody had to register: two labels, three below something like "co.uk".
    private static int ZoneStart(ReadOnlySpan<char> name)
    {
        int last = name.LastIndexOf('.');
        int second = last <= 0 ? -1 : name[..last].LastIndexOf('.');
        if (second <= 0)
        {
            return 0;
        }

        ReadOnlySpan<char> middle = name[(second + 1)..last];
        if (name.Length - last == 3 && s_secondLevel.GetAlternateLookup<ReadOnlySpan<char>>().Contains(middle))
        {
            int third = name[..second].LastIndexOf('.');
            return third < 0 ? 0 : third + 1;
        }

        return second + 1;
    }

    // Shannon's, in bits per character.
    private static double Entropy(ReadOnlySpan<char> text)
    {
        Span<int> counts = stackalloc int[128];
        int total = 0;
        foreach (char c in text)
        {
            if (c is < (char)128 and not '.')
            {
                counts[c]++;
                total++;
            }
        }

        double entropy = 0;
        foreach (int count in counts)
        {
            if (count > 0)
            {
                double share = (double)count / total;
                entropy -= share * Math.Log2(share);
            }
        }

        return entropy;
    }
}

/// <summary>What a step asked for below one zone.</summary>
internal sealed class ZoneAsked(Stamp since)
{
    public HashSet<int> Names { get; } = [];

    public Stamp Since { get; set; } = since;

    public int InWindow { get; set; }

    public int Bytes { get; set; }

    public double Entropy { get; set; }

    public int Told { get; set; }
}
