using ImageSentinel.Lab.Harness;
using ImageSentinel.V1;

namespace ImageSentinel.Lab;

/// <summary>A scenario of the lab in which one step reaches out once, and what must be told about it.</summary>
internal sealed record ScenarioCase(string Name)
{
    /// <summary>Part of the RUN text of the step that reaches out.</summary>
    public required string Instruction { get; init; }

    /// <summary>The instruction's number in the Dockerfile, FROM being 1.</summary>
    public uint Index { get; init; } = 2;

    public uint Total { get; init; } = 2;

    public required uint Port { get; init; }

    public EgressProtocol Protocol { get; init; } = EgressProtocol.Tcp;

    public Destination To { get; init; } = Destination.Version4;

    /// <summary>End of the connecting program's path, as the step sees it.</summary>
    public required string Exe { get; init; }

    /// <summary>Any of these: what the call returned, or what a second witness made of it.</summary>
    public required EgressOutcome[] Outcomes { get; init; }

    public StepNetwork Network { get; init; } = StepNetwork.Bridge;

    public BuildResult Result { get; init; } = BuildResult.Succeeded;

    public EgressPath Path { get; init; } = EgressPath.Syscall;

    public Severity AtLeast { get; init; } = Severity.Medium;

    public string AddressOf(Attack attack) => To switch
    {
        Destination.Version6 => attack.Address6,
        Destination.Silent => attack.SilentAddress,
        _ => attack.Address,
    };

    public override string ToString() => Name;
}

/// <summary>A builder other than the engine, whose one step downloads something.</summary>
/// <param name="Program">What this machine must have; empty when the lab has all.</param>
internal sealed record BuilderCase(
    string Name, string Program, Builder Builder, bool InContainer = false, BuildResult Result = BuildResult.Succeeded);

internal enum Destination
{
    Version4,
    Version6,

    /// <summary>An address where nobody answers.</summary>
    Silent,
}
