using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>What a host remembers: destinations for good, processes for a while.</summary>
[TestFixture]
public sealed class BaselineTests
{
    private static readonly Stamp Start = new(1000 * Stamp.Second, 1_700_000_000 * Stamp.Second);

    private static Stamp At(double seconds) => Start.Plus((long)(seconds * Stamp.Second));

    private static Destination Number(uint i, ushort port = 443) => new(NetAddress.FromIPv4(0x0B00_0000 + (i * 7)), port, EgressProtocol.Tcp);

    private static DestinationBaseline Enforcing() => new(new BaselineMode(false, Start.Time, Start.Time));

    [Test]
    public void A_million_destinations_stay_below_64_MiB_and_are_all_found()
    {
        var table = new DestinationTable();
        for (uint i = 0; i < 1_000_000; i++)
        {
            table.Add(Number(i), 1);
        }

        Assert.That(table.Bytes, Is.LessThan(64L << 20));
        Assert.That(table.Count, Is.EqualTo(1_000_000));
        int missing = 0;
        int invented = 0;
        for (uint i = 0; i < 1_000_000; i++)
        {
            missing += table.TryFind(Number(i), out _, out _) ? 0 : 1;
            invented += table.TryFind(Number(i, 80), out _, out bool known) || !known ? 1 : 0;
        }

        Assert.That((missing, invented), Is.EqualTo((0, 0)));
    }

    [Test]
    public void An_address_with_too_many_ports_counts_as_seen_on_any()
    {
        var table = new DestinationTable();
        for (ushort port = 1; port <= DestinationTable.PortsPerAddress; port++)
        {
            Assert.That(table.Add(Scene.To(Scene.Evil, port), 1), Is.True);
        }

        Assert.That(table.Add(Scene.To(Scene.Evil, 9999), 1), Is.False);
        Assert.That(table.Count, Is.EqualTo(DestinationTable.PortsPerAddress));
        Assert.That(table.TryFind(Scene.To(Scene.Evil, 9999), out _, out _), Is.True);
    }

    [Test]
    public void Growth_keeps_counts_and_times_and_removal_keeps_the_rest()
    {
        var table = new DestinationTable(64);
        for (uint i = 0; i < 5000; i++)
        {
            table.Add(Number(i), i);
            table.Add(Number(i), i + 1);
        }

        Assert.That(table.Remove(static d => d.Address.IPv4 % 2 == 0), Is.EqualTo(2500));
        Assert.That(table.Count, Is.EqualTo(2500));
        Assert.That(table.TryFind(Number(4999), out SeenDestination seen, out _), Is.True);
        Assert.That((seen.FirstSeen, seen.LastSeen, seen.Count), Is.EqualTo((4999u, 5000u, 2u)));
        Assert.That(table.TryFind(Number(4998), out _, out _), Is.False);
        Assert.That(table.All().Count(), Is.EqualTo(2500));
    }

    [Test]
    public void Transport_and_port_are_part_of_a_destination()
    {
        var table = new DestinationTable();
        table.Add(Scene.To(Scene.Evil, 53, EgressProtocol.Udp), 1);

        Assert.That(table.TryFind(Scene.To(Scene.Evil, 53), out _, out bool known), Is.False);
        Assert.That(known, Is.True);
    }

    [TestCase("127.9.9.9", true)]
    [TestCase("0.0.0.0", true)]
    [TestCase("255.255.255.255", true)]
    [TestCase("239.1.2.3", true)]
    [TestCase("169.254.1.1", true)]
    [TestCase("169.254.169.254", false)]
    [TestCase("::1", true)]
    [TestCase("::", true)]
    [TestCase("fe80::1", true)]
    [TestCase("ff02::1", true)]
    [TestCase("::ffff:127.0.0.1", true)]
    [TestCase("fec0::1", false)]
    [TestCase("10.0.0.1", false)]
    [TestCase("2001:db8::1", false)]
    public void What_leads_nowhere_is_noise_and_the_rest_is_not(string address, bool noise)
        => Assert.That(Enforcing().IsNoise(Scene.To(address), out _), Is.EqualTo(noise));

    [Test]
    public void A_packet_to_port_0_is_noise_but_a_raw_one_is_not()
    {
        Assert.That(Enforcing().IsNoise(Scene.To(Scene.Evil, 0), out _), Is.True);
        Assert.That(Enforcing().IsNoise(Scene.To(Scene.Evil, 0, EgressProtocol.Raw), out _), Is.False);
    }

    [Test]
    public void Learning_turns_into_enforcing_by_time_alone()
    {
        var baseline = new DestinationBaseline(new BaselineMode(true, Start.Time, At(60).Time));

        Assert.That(baseline.Judge(Number(1), At(59).Time).Novelty, Is.EqualTo(Novelty.Learning));
        Assert.That(baseline.Judge(Number(1), At(60).Time).Novelty, Is.EqualTo(Novelty.NeverSeen));
    }

    [Test]
    public void Approval_makes_known_and_forgetting_takes_approval_and_memory_back()
    {
        DestinationBaseline baseline = Enforcing();
        DestinationPattern pattern = DestinationPattern.TryParse("11.0.0.0/24", out DestinationPattern? parsed) ? parsed! : throw new AssertionException("pattern");
        baseline.Learn(Number(1), Start);
        baseline.Approve(pattern, "packages");
        Assert.That(baseline.Judge(Number(2), Start.Time).Reason, Is.EqualTo("approved as 11.0.0.0/24: packages"));

        Assert.That(baseline.Forget(pattern), Is.EqualTo(2));
        Assert.That(baseline.Judge(Number(1), Start.Time).Novelty, Is.EqualTo(Novelty.NeverSeen));
    }

    [Test]
    public void What_the_configuration_allows_ends_when_it_expires_and_when_it_is_taken_out()
    {
        DestinationBaseline baseline = Enforcing();
        _ = DestinationPattern.TryParse("11.0.0.0/8", out DestinationPattern? pattern);
        baseline.Configure([new AllowedDestination(pattern!, "configured", "", At(10).Time)]);
        Assert.That(baseline.Judge(Number(1), At(9).Time).Novelty, Is.EqualTo(Novelty.Known));
        Assert.That(baseline.Judge(Number(1), At(10).Time).Novelty, Is.EqualTo(Novelty.NeverSeen));

        baseline.Configure([]);
        Assert.That(baseline.Judge(Number(1), At(9).Time).Novelty, Is.EqualTo(Novelty.NeverSeen));
    }

    [Test]
    public void A_resolver_is_known_on_port_53_only()
    {
        DestinationBaseline baseline = Enforcing();
        baseline.KnowResolver(Scene.Address("203.0.113.53"));

        Assert.That(baseline.Judge(Scene.To("203.0.113.53", 53, EgressProtocol.Udp), Start.Time).Novelty, Is.EqualTo(Novelty.Known));
        Assert.That(baseline.Judge(Scene.To("203.0.113.53", 443), Start.Time).Novelty, Is.EqualTo(Novelty.NeverSeen));
    }

    private static ProcessNode Exec(ProcessTree tree, int pid, int parent, double seconds, string program) => tree.Execute(new ProcessExecuted
    {
        At = At(seconds),
        CallWall = At(seconds).Wall,
        Pid = pid,
        ParentPid = parent,
        Exe = System.Text.Encoding.UTF8.GetBytes(program),
        Arguments = System.Text.Encoding.UTF8.GetBytes(program + "\0"),
    });

    private static ProcessNode Caller(ProcessTree tree, int pid, int parent, double seconds, double read = -1)
        => tree.Resolve(new Caller { Pid = pid, ParentPid = parent, Exe = "/x"u8 }, At(read < 0 ? seconds : read), At(seconds).Wall);

    [Test]
    public void A_child_runs_the_program_its_parent_ran_at_its_birth_however_late_that_exec_is_read()
    {
        var tree = new ProcessTree();
        tree.Fork(new ProcessForked(At(0), 1, 10));
        ProcessNode child = tree.Fork(new ProcessForked(At(2), 10, 11));
        _ = Exec(tree, 10, 1, 1, "/first");
        _ = Exec(tree, 10, 1, 3, "/second");

        Assert.That(child.ExeText, Is.EqualTo("/first"));
        Assert.That(tree.Find(10)!.ExeText, Is.EqualTo("/second"));
    }

    [Test]
    public void A_process_met_before_its_fork_takes_its_true_parent_and_scope_from_the_fork()
    {
        var tree = new ProcessTree();
        ProcessNode parent = tree.Fork(new ProcessForked(At(0), 1, 10));
        var scope = new EngineScope(0);
        tree.Relabel(parent, scope, rootItself: true);
        ProcessNode early = Caller(tree, 11, 1, 1);
        Assert.That(early.Scope, Is.Null);

        ProcessNode forked = tree.Fork(new ProcessForked(At(1.001), 10, 11));

        Assert.That(forked, Is.SameAs(early));
        Assert.That(forked.Parent, Is.SameAs(parent));
        Assert.That(forked.Scope, Is.SameAs(scope));
    }

    [Test]
    public void Of_two_processes_with_one_pid_the_time_of_the_call_picks()
    {
        var tree = new ProcessTree();
        ProcessNode first = tree.Fork(new ProcessForked(At(1), 1, 10));
        tree.Exit(new ProcessExited(At(2), 10, 0));
        ProcessNode second = tree.Fork(new ProcessForked(At(3), 1, 10));

        Assert.That(Caller(tree, 10, 1, 1.5, 3.5), Is.SameAs(first));
        Assert.That(Caller(tree, 10, 1, 3.5), Is.SameAs(second));
    }

    [Test]
    public void A_label_reaches_what_was_forked_before_it_and_nothing_else()
    {
        var tree = new ProcessTree();
        ProcessNode root = tree.Fork(new ProcessForked(At(0), 1, 10));
        ProcessNode child = tree.Fork(new ProcessForked(At(1), 10, 11));
        ProcessNode grandchild = tree.Fork(new ProcessForked(At(2), 11, 12));
        ProcessNode stranger = tree.Fork(new ProcessForked(At(2), 1, 13));
        tree.Exit(new ProcessExited(At(2.5), 11, 0));
        var scope = new EngineScope(0);

        tree.Relabel(root, scope, rootItself: false);
        ProcessNode later = tree.Fork(new ProcessForked(At(3), 12, 14));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(root.Scope, Is.Null);
            Assert.That(child.Scope, Is.SameAs(scope));
            Assert.That(grandchild.Scope, Is.SameAs(scope));
            Assert.That(later.Scope, Is.SameAs(scope));
            Assert.That(stranger.Scope, Is.Null);
        }
    }

    [Test]
    public void An_ended_process_is_found_for_a_minute_and_then_forgotten()
    {
        var tree = new ProcessTree();
        tree.Fork(new ProcessForked(At(0), 1, 10));
        tree.Exit(new ProcessExited(At(1), 10, 7 << 8));
        tree.Expire(At(60));
        Assert.That(tree.Find(10)!.ExitStatus, Is.EqualTo(7 << 8));

        tree.Expire(At(62));
        Assert.That(tree.Find(10), Is.Null);
        Assert.That(tree.Evicted, Is.Zero);
    }

    [Test]
    public void A_full_table_gives_up_the_longest_ended_and_counts_it()
    {
        var tree = new ProcessTree();
        for (int pid = 2; pid < ProcessTree.Capacity + 12; pid++)
        {
            tree.Fork(new ProcessForked(At(1), 1, pid));
            tree.Exit(new ProcessExited(At(2), pid, 0));
        }

        tree.Expire(At(3));

        Assert.That(tree.Count, Is.EqualTo(ProcessTree.Capacity));
        Assert.That(tree.Evicted, Is.EqualTo(10));
        Assert.That(tree.Find(2), Is.Null);
        Assert.That(tree.Find(ProcessTree.Capacity + 11), Is.Not.Null);
    }

    [Test]
    public void An_exit_of_an_unknown_or_already_ended_process_is_nothing()
    {
        var tree = new ProcessTree();
        Assert.That(tree.Exit(new ProcessExited(At(1), 10, 0)), Is.Null);
        tree.Fork(new ProcessForked(At(1), 1, 10));
        Assert.That(tree.Exit(new ProcessExited(At(2), 10, 0)), Is.Not.Null);
        Assert.That(tree.Exit(new ProcessExited(At(3), 10, 0)), Is.Null);
    }

    [Test]
    public void Where_only_a_container_went_is_new_to_a_host_that_enforces_for_a_day()
    {
        DestinationBaseline baseline = Enforcing();
        Destination place = Number(7);
        baseline.LearnFromContainer(place, Start);

        Assert.That(baseline.Judge(place, Start.Time.AddHours(1)).Novelty, Is.EqualTo(Novelty.NeverSeen));
        Assert.That(baseline.Judge(place, Start.Time.AddHours(1)).Reason, Does.Contain("a container on this host"));
        Assert.That(baseline.Judge(place, Start.Time.AddHours(25)).Novelty, Is.EqualTo(Novelty.Known));

        baseline.Learn(place, Start);
        Assert.That(baseline.Judge(place, Start.Time.AddHours(1)).Novelty, Is.EqualTo(Novelty.Known));
    }

    [Test]
    public void A_container_that_knocks_at_many_ports_makes_none_of_the_others_known()
    {
        DestinationBaseline baseline = Enforcing();
        for (ushort port = 1; port <= 2 * DestinationTable.PortsPerAddress; port++)
        {
            baseline.LearnFromContainer(Scene.To(Scene.Evil, port), Start);
        }

        Judgement judgement = baseline.Judge(Scene.To(Scene.Evil, 40000), Start.Time);
        Assert.That(judgement.Novelty, Is.EqualTo(Novelty.NeverSeen));
        Assert.That(judgement.AddressKnown, Is.False);
        Assert.That(baseline.Seen.Count, Is.EqualTo(DestinationTable.PortsPerAddress));
    }

    [Test]
    public void While_a_host_learns_containers_teach_like_anybody()
    {
        var baseline = new DestinationBaseline(new BaselineMode(true, DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue));
        baseline.LearnFromContainer(Number(7), Start);

        Assert.That(baseline.Judge(Number(7), Start.Time).Novelty, Is.EqualTo(Novelty.Known));
    }
}
