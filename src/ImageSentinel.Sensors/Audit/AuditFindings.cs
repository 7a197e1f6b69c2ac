namespace ImageSentinel.Sensors.Audit;

/// <summary>What is wrong right now, each thing under a name so that it can be cleared when it is mended.</summary>
internal sealed class AuditFindings
{
    private readonly SortedDictionary<string, string> _reasons = new(StringComparer.Ordinal);

    public IReadOnlyList<string> All
    {
        get
        {
            lock (_reasons)
            {
                return [.. _reasons.Values];
            }
        }
    }

    public void Set(string name, string reason)
    {
        lock (_reasons)
        {
            _reasons[name] = reason;
        }
    }

    public void Clear(string name)
    {
        lock (_reasons)
        {
            _reasons.Remove(name);
        }
    }

    public void SetOrClear(string name, bool present, string reason)
    {
        if (present)
        {
            Set(name, reason);
        }
        else
        {
            Clear(name);
        }
    }
}
