using CsCheck;
using ImageSentinel.Agent.Uplink;
using ImageSentinel.V1;
using NUnit.Framework;

namespace ImageSentinel.Tests.Uplink;

public sealed class FindingSpoolTests
{
    private readonly List<string> _directories = [];
    private string _state = "";

    [SetUp]
    public void MakeState() => _state = Keep(Directory.CreateTempSubdirectory("imagesentinel-spool-").FullName);

    [TearDown]
    public void RemoveState()
    {
        _directories.ForEach(directory => Directory.Delete(directory, recursive: true));
        _directories.Clear();
    }

    [Test]
    public void Records_come_back_in_the_order_they_went_in_and_leave_when_acknowledged()
    {
        using FindingSpool spool = SpoolHarness.Open(_state);
        spool.Append(SpoolHarness.Finding("f1"));
        SpoolReceipt second = spool.Append([SpoolHarness.Build("b1"), SpoolHarness.Finding("f2")]);
        string[] all = [.. spool.Names()];
        spool.AcknowledgeThrough(spool.SpoolId!, second.LastSequence - 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(second.Durable);
            Assert.That(all, Is.EqualTo(new[] { "f1", "b1", "f2" }));
            Assert.That(spool.Names(), Is.EqualTo(new[] { "f2" }));
            Assert.That(spool.Status, Has.Property(nameof(SpoolStatus.Depth)).EqualTo(1).And.Property(nameof(SpoolStatus.GivenUp)).Zero);
        }
    }

    [Test]
    public void What_was_called_durable_is_there_after_kill_9()
    {
        using FindingSpool spool = SpoolHarness.Open(_state);
        for (int i = 0; i < 50; i++)
        {
            Assert.That(spool.Append(SpoolHarness.Finding($"f{i}")).Durable);
        }

        using FindingSpool survivor = SpoolHarness.Open(Keep(SpoolHarness.CrashImage(_state)));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(survivor.Names(), Is.EqualTo(Enumerable.Range(0, 50).Select(i => $"f{i}")));
            Assert.That(survivor.SpoolId, Is.EqualTo(spool.SpoolId));
            Assert.That(survivor.Status.Damage, Is.Null);
        }
    }

    [Test]
    public void A_sequence_is_never_given_twice_also_when_the_spool_was_empty_at_the_restart()
    {
        ulong last;
        using (FindingSpool spool = SpoolHarness.Open(_state))
        {
            last = spool.Append([SpoolHarness.Finding("f1"), SpoolHarness.Finding("f2")]).LastSequence;
            spool.AcknowledgeThrough(spool.SpoolId!, last);
        }

        using FindingSpool again = SpoolHarness.Open(_state);
        Assert.That(again.Append(SpoolHarness.Finding("f3")).LastSequence, Is.EqualTo(last + 1));
    }

    [Test]
    public void A_log_torn_at_any_byte_gives_a_whole_prefix_of_what_was_written()
    {
        using FindingSpool spool = SpoolHarness.Open(_state);
        string[] names = [.. Enumerable.Range(0, 12).Select(i => $"f{i:00}")];
        foreach (string name in names)
        {
            spool.Append(SpoolHarness.Finding(name));
        }

        string image = Keep(SpoolHarness.CrashImage(_state));
        byte[] log = File.ReadAllBytes(Path.Combine(image, "spool.db-wal"));
        var survivors = new List<int>();
        for (int cut = log.Length; cut > 0; cut -= 1021)
        {
            string torn = Keep(Directory.CreateTempSubdirectory("imagesentinel-torn-").FullName);
            File.Copy(Path.Combine(image, "spool.db"), Path.Combine(torn, "spool.db"));
            File.WriteAllBytes(Path.Combine(torn, "spool.db-wal"), log[..cut]);
            using FindingSpool recovered = SpoolHarness.Open(torn);
            string[] found = [.. recovered.Names()];
            Assert.That(found, Is.EqualTo(names.Take(found.Length)), $"log cut at {cut}");
            survivors.Add(found.Length);
        }

        Assert.That(survivors, Is.Ordered.Descending.And.Contains(0).And.Contains(12));
    }

    [Test]
    public void A_file_that_is_no_database_is_moved_aside_and_said_and_nothing_of_it_is_deleted()
    {
        byte[] rubbish = [.. Enumerable.Repeat((byte)0xa5, 64 * 1024)];
        File.WriteAllBytes(Path.Combine(_state, "spool.db"), rubbish);
        using FindingSpool spool = SpoolHarness.Open(_state);
        SpoolReceipt receipt = spool.Append(SpoolHarness.Finding("f1"));

        string aside = Directory.EnumerateFiles(_state, "spool.db.damaged-*").Single();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(receipt.Durable);
            Assert.That(spool.Status.Damage, Does.Contain(Path.GetFileName(aside)));
            Assert.That(File.ReadAllBytes(aside), Is.EqualTo(rubbish));
        }
    }

    [Test]
    public void A_damaged_page_costs_what_was_on_it_and_the_rest_is_carried_over_under_a_new_identity()
    {
        string oldIdentity;
        using (FindingSpool spool = SpoolHarness.Open(_state))
        {
            oldIdentity = spool.SpoolId!;
            spool.Append([.. Enumerable.Range(0, 200).Select(i => SpoolHarness.Finding($"f{i:000}", padding: 1500))]);
        }

        string path = Path.Combine(_state, "spool.db");
        byte[] bytes = File.ReadAllBytes(path);
        bytes.AsSpan(bytes.Length / 2, 4096 * 4).Fill(0xff);
        File.WriteAllBytes(path, bytes);

        using FindingSpool recovered = SpoolHarness.Open(_state);
        string[] names = [.. recovered.Names()];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(recovered.Status.Damage, Does.Contain("moved"));
            Assert.That(recovered.SpoolId, Is.Not.EqualTo(oldIdentity));
            Assert.That(names, Is.Not.Empty.And.Ordered);
            Assert.That(names.Length, Is.LessThan(200));
        }
    }

    [Test]
    public void Above_its_limit_the_spool_gives_up_the_oldest_of_the_least_severe_and_counts_them()
    {
        using FindingSpool spool = SpoolHarness.Open(_state, options => options with { SizeLimit = 100_000 });
        spool.Append(SpoolHarness.Finding("critical-first", Severity.Critical, 1000));
        for (int i = 0; i < 150; i++)
        {
            spool.Append(SpoolHarness.Finding($"low-{i:000}", Severity.Low, 1000));
        }

        string[] left = [.. spool.Names()];
        SpoolStatus status = spool.Status;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(left, Does.Contain("critical-first").And.Contain("low-149").And.Not.Contain("low-000"));
            Assert.That(status.Bytes, Is.LessThanOrEqualTo(100_000));
            Assert.That(status.GivenUp, Is.EqualTo(151 - (ulong)left.Length));
        }
    }

    [Test]
    public void States_of_a_build_that_a_later_one_replaces_make_room_first_and_do_not_count_as_given_up()
    {
        using FindingSpool spool = SpoolHarness.Open(_state, options => options with { SizeLimit = 50_000 });
        spool.Append(SpoolHarness.Finding("low", Severity.Low, 1000));
        for (int i = 0; i < 60; i++)
        {
            spool.Append(SpoolHarness.Build("b1", i == 59 ? Verdict.Malicious : Verdict.Clean, 1000));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(spool.Names(), Does.Contain("low"));
            Assert.That(spool.FindBuild("b1")!.Verdict, Is.EqualTo(Verdict.Malicious));
            Assert.That(spool.Status.GivenUp, Is.Zero);
        }
    }

    [Test]
    public void What_was_given_up_stays_counted_over_a_restart()
    {
        ulong before;
        using (FindingSpool spool = SpoolHarness.Open(_state, options => options with { SizeLimit = 20_000 }))
        {
            spool.Append([.. Enumerable.Range(0, 40).Select(i => SpoolHarness.Finding($"f{i}", Severity.Low, 1000))]);
            before = spool.Status.GivenUp;
        }

        using FindingSpool again = SpoolHarness.Open(_state);
        Assert.That(again.Status.GivenUp, Is.EqualTo(before).And.Positive);
    }

    [Test]
    public void A_full_disk_is_said_in_one_line_loses_nothing_and_is_over_when_space_returns()
    {
        string[] names;
        using (FindingSpool full = SpoolHarness.Open(_state, options => options with { MaximumPages = 40, RetryEvery = TimeSpan.FromMilliseconds(20) }))
        {
            int count = 0;
            while (full.Append(SpoolHarness.Finding($"f{count:0000}", padding: 1000)).Durable)
            {
                count++;
                Assert.That(count, Is.LessThan(1000), "the limit of the file has no effect");
            }

            names = [.. Enumerable.Range(0, count + 1).Select(i => $"f{i:0000}")];
            SpoolStatus status = full.Status;
            using (Assert.EnterMultipleScope())
            {
                Assert.That(status.Problem, Does.Contain("no space left").And.Not.Contain("\n"));
                Assert.That(status.Waiting, Is.EqualTo(1));
                Assert.That(status.GivenUp, Is.Zero);
            }

            // Space returns: the collector takes the first half.
            full.AcknowledgeThrough(full.SpoolId!, (ulong)count / 2);
            Assert.That(() => full.Status, Has.Property(nameof(SpoolStatus.Problem)).Null.And.Property(nameof(SpoolStatus.Waiting)).Zero.After(5000, 20));
            Assert.That(full.Names(), Is.EqualTo(names.Skip(count / 2)));
        }
    }

    [Test]
    public void Memory_for_a_disk_that_stays_full_is_bounded_and_keeps_the_severe()
    {
        using FindingSpool full = SpoolHarness.Open(_state, options => options with { MaximumPages = 24, MemoryLimit = 50_000, RetryEvery = TimeSpan.FromHours(1) });
        for (int i = 0; i < 100; i++)
        {
            full.Append(SpoolHarness.Finding($"filler-{i}", Severity.Critical, 1000));
        }

        ulong before = full.Status.GivenUp;
        full.Append(SpoolHarness.Finding("severe", Severity.Critical, 1000));
        for (int i = 0; i < 100; i++)
        {
            full.Append(SpoolHarness.Finding($"low-{i}", Severity.Low, 1000));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(full.Status.Problem, Is.Not.Null);
            Assert.That(full.Status.Waiting, Is.LessThan(50));
            Assert.That(full.Status.GivenUp - before, Is.GreaterThanOrEqualTo(90));
        }
    }

    [Test]
    public void A_second_agent_on_the_same_state_directory_is_refused_in_one_line()
    {
        using FindingSpool first = SpoolHarness.Open(_state);
        Assert.That(
            () => SpoolHarness.Open(_state),
            Throws.InstanceOf<SpoolException>().With.Message.EqualTo($"{Path.Combine(_state, "spool.db")} is in use by another agent"));
    }

    [Test]
    public void A_spool_of_a_newer_version_is_refused_and_left_alone()
    {
        using (SpoolHarness.Open(_state))
        {
        }

        using (Microsoft.Data.Sqlite.SqliteConnection connection = new($"Data Source={Path.Combine(_state, "spool.db")};Pooling=False"))
        {
            connection.Open();
            SpoolDatabase.Execute(connection, "PRAGMA user_version=99");
        }

        Assert.That(() => SpoolHarness.Open(_state), Throws.InstanceOf<SpoolException>().With.Message.Contains("newer version"));
        Assert.That(Directory.EnumerateFiles(_state, "*damaged*"), Is.Empty);
    }

    [Test]
    public void Without_a_collector_only_the_history_is_kept_and_it_is_bounded()
    {
        using (FindingSpool spool = SpoolHarness.Open(_state, options => options with { Forward = false, HistoryCount = 10 }))
        {
            for (int i = 0; i < 200; i++)
            {
                Assert.That(spool.Append(SpoolHarness.Build($"b{i:000}")).Durable);
                spool.Append(SpoolHarness.Finding($"f{i:000}", i % 2 == 0 ? Severity.Critical : Severity.Low));
            }
        }

        using FindingSpool again = SpoolHarness.Open(_state, options => options with { Forward = false, HistoryCount = 10 });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(again.Status.Depth, Is.Zero);
            Assert.That(again.RecentBuilds(3).Select(build => build.Id), Is.EqualTo(new[] { "b197", "b198", "b199" }));
            Assert.That(again.RecentFindings(2, Severity.High).Select(finding => finding.Uid), Is.EqualTo(new[] { "f196", "f198" }));
            Assert.That(again.RecentBuilds(1000), Has.Count.LessThanOrEqualTo(10 + 64));
            Assert.That(again.FindFinding("f199")!.Severity, Is.EqualTo(Severity.Low));
            Assert.That(again.FindFinding("f000"), Is.Null);
        }
    }

    [Test]
    public void A_record_no_message_could_carry_is_shortened_and_says_so()
    {
        var build = new Build { Id = "b1" };
        for (int step = 0; step < 50; step++)
        {
            var each = new BuildStep { Id = $"s{step}", Instruction = "RUN x" };
            for (int i = 0; i < 200; i++)
            {
                each.Egress.Add(new Egress { Address = "198.51.100.7", Process = new ProcessInfo { Args = { new string('a', 4096) } } });
            }

            build.Steps.Add(each);
        }

        using FindingSpool spool = SpoolHarness.Open(_state);
        spool.Append(new OutputRecord { Build = build });
        Build kept = spool.FindBuild("b1")!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(kept.CalculateSize(), Is.LessThanOrEqualTo(RecordTrimmer.MaximumSize));
            Assert.That(kept.Steps, Has.Count.EqualTo(50));
            Assert.That(kept.Notes, Has.Exactly(1).Contains("shortened"));
            Assert.That(build.Steps[0].Egress, Has.Count.EqualTo(200), "the caller's record is left alone");
        }
    }

    [Test]
    public void Whatever_is_done_in_whatever_order_what_is_left_is_what_was_appended_and_not_acknowledged()
        => Gen.Select(Gen.Int[0, 3], Gen.Int[1, 6]).List[1, 30].Sample(
            steps =>
            {
                string state = Directory.CreateTempSubdirectory("imagesentinel-spool-").FullName;
                var expected = new List<(ulong Sequence, string Name)>();
                FindingSpool spool = SpoolHarness.Open(state);
                try
                {
                    int made = 0;
                    foreach ((int what, int amount) in steps)
                    {
                        switch (what)
                        {
                            case 0 or 1:
                                string[] names = [.. Enumerable.Range(made, amount).Select(i => $"f{i}")];
                                made += amount;
                                ulong last = spool.Append([.. names.Select(name => SpoolHarness.Finding(name))]).LastSequence;
                                expected.AddRange(names.Select((name, i) => (last - (ulong)(names.Length - 1 - i), name)));
                                break;
                            case 2:
                                ulong through = expected.Count == 0 ? 0 : expected[Math.Min(amount, expected.Count) - 1].Sequence;
                                spool.AcknowledgeThrough(spool.SpoolId!, through);
                                expected.RemoveAll(each => each.Sequence <= through);
                                break;
                            default:
                                spool.Dispose();
                                spool = SpoolHarness.Open(state);
                                break;
                        }
                    }

                    return spool.Names().SequenceEqual(expected.Select(each => each.Name)) && spool.Status.Depth == expected.Count;
                }
                finally
                {
                    spool.Dispose();
                    Directory.Delete(state, recursive: true);
                }
            },
            iter: 60);

    private string Keep(string directory)
    {
        _directories.Add(directory);
        return directory;
    }
}
