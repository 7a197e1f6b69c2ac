using ImageSentinel.Kernel.Audit;
using ImageSentinel.Kernel.Proc;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

/// <summary>Corpus bytes with flipped bits, cuts and splices through every parser. Nothing may throw.</summary>
/// <remarks>The seed is fixed, so a find repeats; a find becomes a test case of its own.</remarks>
[Parallelizable(ParallelScope.Children)]
public sealed class KernelFuzzTests
{
    private const int Short = 20_000;
    private const int Long = 1_000_000;

    [TestCaseSource(nameof(Targets))]
    public void Damaged_input_never_throws(string target) => Run(target, Short);

    [Explicit("a million inputs each")]
    [Category("Fuzz")]
    [TestCaseSource(nameof(Targets))]
    public void A_million_damaged_inputs_never_throw(string target) => Run(target, Long);

    private static void Run(string target, int rounds)
    {
        byte[][] seeds = Seeds(target);
        Assert.That(seeds, Is.Not.Empty);
        var random = new Random(20_100);
        byte[] input = new byte[16 * 1024];
        var reassembler = new AuditReassembler(new AuditReassemblerOptions { MaxEvents = 8, Window = 64, MaxEventBytes = 2048 });
        var sequence = new ProcSequence();
        for (int round = 0; round < rounds; round++)
        {
            int length = Damage(seeds, random, input);
            ReadOnlySpan<byte> bytes = input.AsSpan(0, length);
            try
            {
                Consume(target, bytes, reassembler, sequence, round);
            }
            catch (Exception e)
            {
                Assert.Fail($"{target}, round {round}: {Convert.ToHexString(bytes)}\n{e}");
            }
        }
    }

    private static void Consume(string target, ReadOnlySpan<byte> bytes, AuditReassembler reassembler, ProcSequence sequence, int round)
    {
        switch (target)
        {
            case "audit":
                AuditDescription.Consume(bytes);
                AuditDescription.ConsumeFields(bytes);
                if (AuditLogLine.TryParse(bytes, out AuditRecord record) == System.Buffers.OperationStatus.Done)
                {
                    reassembler.Add(record, round * 1_000_000L);
                    while (reassembler.TryTake(out AuditEvent auditEvent))
                    {
                        foreach (AuditEventRecord part in auditEvent)
                        {
                            _ = part.Fields.Length;
                        }
                    }
                }

                break;

            case "text":
                _ = ProcStat.TryParse(bytes, out _);
                _ = ProcStatus.TryParse(bytes, out _);
                _ = CgroupIdentity.FromFile(bytes);
                if (MountRecord.TryParse(bytes, out MountRecord mount) == System.Buffers.OperationStatus.Done)
                {
                    _ = mount.TryFindOption("upperdir"u8, out ReadOnlySpan<byte> upper);
                    _ = MountRecord.Unescape(upper, stackalloc byte[64], out _);
                }

                break;

            case "rule":
                _ = AuditRule.TryDecode(bytes, out _);
                _ = AuditStatus.TryParse(bytes, out _);
                break;

            default:
                BinaryCorpusTests.ConsumeAll(bytes);
                if (ProcConnectorRecord.TryParse(bytes, out ProcConnectorRecord process) == System.Buffers.OperationStatus.Done)
                {
                    sequence.Note(process);
                }

                break;
        }
    }

    private static int Damage(byte[][] seeds, Random random, byte[] input)
    {
        byte[] seed = seeds[random.Next(seeds.Length)];
        int length = Math.Min(seed.Length, input.Length);
        seed.AsSpan(0, length).CopyTo(input);

        int flips = random.Next(8);
        for (int i = 0; i < flips && length > 0; i++)
        {
            int at = random.Next(length);
            input[at] = random.Next(3) switch
            {
                0 => (byte)(input[at] ^ (1 << random.Next(8))),
                1 => (byte)random.Next(256),
                _ => "\0\"'=() ,:[\\\xff"u8[random.Next(12)],
            };
        }

        if (random.Next(4) == 0)
        {
            length = random.Next(length + 1);
        }

        if (random.Next(8) == 0)
        {
            byte[] other = seeds[random.Next(seeds.Length)];
            int from = random.Next(other.Length);
            int count = Math.Min(other.Length - from, input.Length - length);
            other.AsSpan(from, count).CopyTo(input.AsSpan(length));
            length += count;
        }

        return length;
    }

    private static byte[][] Seeds(string target) => target switch
    {
        "audit" => [.. KernelCorpus.Captures("audit", "*.log").SelectMany(KernelCorpus.Scenarios).SelectMany(scenario => scenario.Lines)],
        "rule" => [KernelCorpus.Read("audit", "rule-connect-saddr-fam2.bin"), KernelCorpus.Read("audit", "status-reply.bin")],
        "text" =>
        [
            File.ReadAllBytes("/proc/self/stat"),
            File.ReadAllBytes("/proc/self/status"),
            "4:memory:/docker/buildkit/b3u93kacw7b9o3cl5y9liartq\n0::/docker/07fb12f1c23d6098a46154324a2556c50f553f3a36be6266c4e085360dc9ff17\n"u8.ToArray(),
            "512 22 0:44 / /m\\040x rw shared:5 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u\\054x,workdir=/w"u8.ToArray(),
        ],
        "netlink" => [.. KernelCorpus.Captures(target, "*.bin").SelectMany(file => KernelCorpus.Prefixed(File.ReadAllBytes(file)))],
        "fanotify" => [.. KernelCorpus.Captures(target, "*.bin").Select(File.ReadAllBytes)],
        _ => [.. KernelCorpus.Captures(target, "*.bin").SelectMany(file => KernelCorpus.Chained(File.ReadAllBytes(file)))],
    };

    private static string[] Targets() => ["audit", "netlink", "fanotify", "proc", "conntrack", "rule", "text"];
}
