using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;

namespace ImageSentinel.Detection.Images;

/// <summary>A container made from an image whose build was not clean.</summary>
public sealed class Deployment(ContainerFact container, Stamp at)
{
    public const int MaximumEgress = 16;
    public const int MaximumPrograms = 16;

    private readonly List<Egress> _egress = [];
    private readonly List<string> _programs = [];

    public string ContainerId { get; } = container.ContainerId;

    /// <summary>When the engine wrote it down first.</summary>
    public Stamp At { get; } = at;

    public string Name { get; internal set; } = container.Name;

    /// <summary>What its creator named.</summary>
    public string Image { get; } = container.Image;

    public string ImageId { get; } = container.ImageId;

    /// <summary>What it may do beyond an ordinary container, in words.</summary>
    public IReadOnlyList<string> Risks { get; internal set; } = [];

    /// <summary>True when one of the <see cref="Risks"/> leads out of the container.</summary>
    public bool Breaks { get; internal set; }

    /// <summary>Who made it, most likely; null when nobody was seen.</summary>
    public BuildClient? Client { get; internal set; }

    /// <summary>The one who made it is the one who asked for the build.</summary>
    public bool SameClient { get; internal set; }

    /// <summary>New destinations it reached, and those its build had reached.</summary>
    public IReadOnlyList<Egress> Egress => _egress;

    /// <summary>Files of the build that it runs.</summary>
    public IReadOnlyList<string> Programs => _programs;

    internal bool Add(Egress egress)
    {
        if (_egress.Count >= MaximumEgress || _egress.Exists(e => e.Destination == egress.Destination))
        {
            return false;
        }

        _egress.Add(egress);
        return true;
    }

    internal bool Add(string program)
    {
        if (_programs.Count >= MaximumPrograms || _programs.Contains(program))
        {
            return false;
        }

        _programs.Add(program);
        return true;
    }
}
