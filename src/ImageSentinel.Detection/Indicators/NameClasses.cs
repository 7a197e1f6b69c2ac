namespace ImageSentinel.Detection.Indicators;

/// <summary>Names that say what kind of place they lead to, whoever owns them. A short list kept as data; the operator's own
/// feeds are the long one.</summary>
public static class NameClasses
{
    private const int HexLabel = 12;

    // Services, by the name that everything of theirs ends in.
    private static readonly (string Kind, string[] Zones)[] s_classes =
    [
        ("a gateway to onion services", ["onion.ws", "onion.ly", "onion.pet", "onion.cab", "tor2web.org", "tor2web.io", "onion"]),
        ("a tunnel service", ["ngrok.io", "ngrok-free.app", "ngrok.app", "ngrok.dev", "trycloudflare.com", "loca.lt", "serveo.net", "localhost.run", "lhr.life", "pagekite.me", "bore.pub", "telebit.io", "portmap.io", "playit.gg"]),
        ("a paste host", ["pastebin.com", "paste.ee", "hastebin.com", "ghostbin.com", "rentry.co", "dpaste.com", "dpaste.org", "paste.rs", "termbin.com", "ix.io", "sprunge.us", "0x0.st", "transfer.sh", "file.io", "controlc.com", "privatebin.net"]),
        ("a mining pool", ["minexmr.com", "supportxmr.com", "nanopool.org", "moneroocean.stream", "hashvault.pro", "2miners.com", "f2pool.com", "nicehash.com", "unmineable.com", "c3pool.com", "xmrpool.eu", "herominers.com"]),
        ("a request catcher", ["interact.sh", "oast.fun", "oast.live", "oast.me", "oast.online", "oast.pro", "oast.site", "oastify.com", "burpcollaborator.net", "requestbin.net", "webhook.site", "pipedream.net", "canarytokens.com", "dnslog.cn"]),
    ];

    private static readonly string[] s_dynamic =
    [
        "duckdns.org", "no-ip.org", "no-ip.biz", "ddns.net", "dynu.net", "dynu.com", "hopto.org", "zapto.org", "sytes.net", "myftp.org", "serveftp.com",
        "dyndns.org", "dynv6.net", "freeddns.org", "afraid.org", "mooo.com", "chickenkiller.com", "strangled.net", "changeip.com", "duckdns.com",
        "dynamic-dns.net", "ddnsfree.com", "nip.io", "sslip.io",
    ];

    private static readonly Dictionary<string, string> s_zones = Index();

    /// <summary>What kind of place a name leads to; null when nothing is known of it.</summary>
    /// <param name="host">Lower case, no port.</param>
    public static string? Find(string host)
    {
        ArgumentNullException.ThrowIfNull(host);
        for (int dot = -1; ;)
        {
            string zone = host[(dot + 1)..];
            if (s_zones.TryGetValue(zone, out string? kind))
            {
                return kind.Length > 0 ? kind
                    : IsHex(host, dot) ? $"a machine-made name in the dynamic zone {zone}"
                    : $"a name in the dynamic zone {zone}";
            }

            int next = host.IndexOf('.', dot + 1);
            if (next < 0)
            {
                return null;
            }

            dot = next;
        }
    }

    /// <summary><c>evil.example:443</c> → <c>evil.example</c>.</summary>
    public static string HostOf(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        int colon = name.LastIndexOf(':');
        return colon > 0 && name.IndexOf(':', StringComparison.Ordinal) == colon ? name[..colon] : name;
    }

    // The label left of the zone, 12 hex digits or more.
    private static bool IsHex(string host, int dot)
    {
        ReadOnlySpan<char> label = dot < 0 ? [] : host.AsSpan(0, dot);
        label = label[(label.LastIndexOf('.') + 1)..];
        if (label.Length < HexLabel)
        {
            return false;
        }

        foreach (char c in label)
        {
            if (!char.IsAsciiHexDigitLower(c))
            {
                return false;
            }
        }

        return true;
    }

    private static Dictionary<string, string> Index()
    {
        var zones = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string kind, string[] names) in s_classes)
        {
            foreach (string name in names)
            {
                zones[name] = kind;
            }
        }

        foreach (string name in s_dynamic)
        {
            zones[name] = "";
        }

        return zones;
    }
}
