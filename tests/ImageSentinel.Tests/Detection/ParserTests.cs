using System.Text;
using ImageSentinel.Detection.Baseline;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Clients;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Text;
using NUnit.Framework;

namespace ImageSentinel.Tests.Detection;

/// <summary>Texts and paths that somebody else wrote, read as far as builds need them.</summary>
[TestFixture]
public sealed class ParserTests
{
    private static Dockerfile Parse(string text)
        => Dockerfile.TryParse("test", text) ?? throw new AssertionException("not read as a Dockerfile");

    [TestCase("FROM a\nRUN one \\\n  two\n", "one two", TestName = "Continued_lines_are_joined")]
    [TestCase("FROM a\nRUN one \\\n# comment\n\n  two\n", "one two", TestName = "Comments_inside_a_continuation_are_skipped")]
    [TestCase("FROM a\r\nRUN one \\\r\n two\r\n", "one two", TestName = "Windows_line_ends_are_line_ends")]
    [TestCase("# escape=`\nFROM a\nRUN one `\n two\\\n", "one two\\", TestName = "The_escape_directive_changes_the_continuation")]
    [TestCase("FROM a\n# escape=`\nRUN one \\\n two\n", "one two", TestName = "A_directive_behind_an_instruction_is_a_comment")]
    [TestCase("FROM a\nrun   one\ttwo\n", "one two", TestName = "Keywords_have_no_case_and_white_space_is_folded")]
    [TestCase("FROM a\nRUN --mount=type=cache,target=/x --network=none one\n", "one", TestName = "Flags_are_no_part_of_the_command")]
    [TestCase("\uFEFFFROM a\nRUN one\n", "one", TestName = "A_byte_order_mark_is_skipped")]
    [TestCase("ARG V=1\nFROM a:$V\nRUN one", "one", TestName = "ARG_may_come_first_and_the_last_line_may_be_open")]
    [TestCase("FROM a\nRUN <<EOF\none\ntwo\nEOF\nRUN x\n", "one\ntwo", TestName = "A_here_document_is_the_command")]
    [TestCase("FROM a\nRUN <<-'END'\n\tone\n\tEND\n", "one", TestName = "A_here_document_may_be_quoted_and_indented")]
    [TestCase("FROM a\nRUN echo $((1<<2))\n", "echo $((1<<2))", TestName = "A_shift_is_no_here_document")]
    [TestCase("FROM a\nRUN [ -f x ] && one\n", "[ -f x ] && one", TestName = "A_shell_test_is_no_exec_form")]
    public void A_step_is_found_by_its_command(string text, string command)
        => Assert.That(Parse(text).FindRun(command)?.Index, Is.Not.Null);

    [Test]
    public void The_exec_form_compares_as_the_array_the_engine_runs()
    {
        Dockerfile dockerfile = Parse("FROM a\nRUN [ \"curl\",  \"-o\", \"a \\\"b\\\"\" ]\n");

        Assert.That(dockerfile.FindRun(StepText.CommandOf(["curl", "-o", "a \"b\""]))?.Index, Is.EqualTo(2));
    }

    [Test]
    public void Base_images_are_those_that_are_neither_stages_nor_scratch()
    {
        Dockerfile dockerfile = Parse("FROM --platform=linux/amd64 one:1 AS build\nFROM scratch\nFROM Build\nFROM two@sha256:0 as x\nFROM one:1\n");

        Assert.That(dockerfile.BaseImages, Is.EqualTo(new[] { "one:1", "two@sha256:0" }));
    }

    [Test]
    public void The_same_command_twice_is_found_twice()
    {
        Dockerfile dockerfile = Parse("FROM a\nRUN x\nRUN x\n");

        Assert.That(dockerfile.FindRun("x", 2)?.Index, Is.EqualTo(3));
        Assert.That(dockerfile.FindRun("x", 3), Is.Null);
    }

    [TestCase("")]
    [TestCase("# only a comment")]
    [TestCase("RUN before FROM")]
    [TestCase("FROM a\nNOSUCH x")]
    [TestCase("\0\0\0")]
    [TestCase("#!/bin/sh\necho hello")]
    public void What_is_no_Dockerfile_is_refused(string text) => Assert.That(Dockerfile.TryParse("x", text), Is.Null);

    [Test]
    public void Syntax_is_read_from_the_top_only()
    {
        Assert.That(Parse("# syntax=docker/dockerfile:1\nFROM a\n").Syntax, Is.EqualTo("docker/dockerfile:1"));
        Assert.That(Parse("FROM a\n# syntax=x\n").Syntax, Is.Empty);
    }

    [TestCase("FROM a\nRUN x", "\\\n x")]
    [TestCase("FROM a\n", "RUN <<E\n")]
    [TestCase("FROM a\nRUN [", "[")]
    [TestCase("FROM a\nRUN ", "--x ")]
    [TestCase("", "\n")]
    [TestCase("FROM a\nRUN \"", "\\\"")]
    [CancelAfter(30_000)]
    public void Two_megabytes_of_anything_are_read_or_refused(string start, string repeated)
    {
        var text = new StringBuilder(start);
        while (text.Length < 2 << 20)
        {
            _ = text.Append(repeated);
        }

        Assert.That(() => Dockerfile.TryParse("x", text.ToString()), Throws.Nothing);
    }

    [Test]
    public void Random_pieces_never_throw()
    {
        string[] pieces = ["FROM", "RUN", " ", "\n", "\\", "<<", "EOF", "[", "\"", "]", "--", "#", "escape=`", "`", "\0", "\ud800", "AS", "\t", "é"];
        var random = new Random(1612);
        for (int i = 0; i < 20_000; i++)
        {
            string text = "FROM a\n" + string.Concat(Enumerable.Range(0, 25).Select(_ => pieces[random.Next(pieces.Length)]));
            Assert.That(() => Dockerfile.TryParse("x", text)?.FindRun("x"), Throws.Nothing, text);
        }
    }

    [TestCase("runc\0run\0--bundle\0/b\0id\0", RuncVerb.Run, "/b", "id")]
    [TestCase("/usr/sbin/runc\0--log\0/l\0--log-format\0json\0run\0--bundle\0/b\0--keep\0id\0", RuncVerb.Run, "/b", "id")]
    [TestCase("runc\0--root\0/r\0--systemd-cgroup\0create\0-b\0/b\0--pid-file\0/p\0id\0", RuncVerb.Create, "/b", "id")]
    [TestCase("crun\0run\0--bundle=/b\0id", RuncVerb.Run, "/b", "id")]
    [TestCase("buildkit-runc\0--log=/l\0kill\0id\0" + "9\0", RuncVerb.Kill, "", "id")]
    [TestCase("runc\0delete\0--force\0id\0", RuncVerb.Delete, "", "id")]
    [TestCase("runc\0init\0", RuncVerb.Init, "", "")]
    public void A_runtime_says_what_it_was_told(string arguments, RuncVerb verb, string bundle, string id)
    {
        bool parsed = RuncCommand.TryParse(Encoding.UTF8.GetBytes(arguments), out RuncCommand command);

        string readBundle = Encoding.UTF8.GetString(command.Bundle);
        string readId = Encoding.UTF8.GetString(command.Id);
        Assert.That((parsed, command.Verb, readBundle, readId), Is.EqualTo((true, verb, bundle, id)));
    }

    [TestCase("")]
    [TestCase("runc\0")]
    [TestCase("runc\0nosuch\0")]
    [TestCase("notrunc\0run\0id\0")]
    [TestCase("runc\0--log\0")]
    [TestCase("runc\0--bundle")]
    public void What_is_no_runtime_is_refused(string arguments)
        => Assert.That(RuncCommand.TryParse(Encoding.UTF8.GetBytes(arguments), out _), Is.False);

    [TestCase("/var/lib/docker/buildkit/executor/abcdefghijklmnopqrstuvwx1", BundleKind.BuildKit)]
    [TestCase("/x/executor/abcdefghijklmnopqrstuvwx1/", BundleKind.BuildKit)]
    [TestCase("/run/moby/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", BundleKind.Container)]
    [TestCase("/var/tmp/buildah123456", BundleKind.Buildah)]
    [TestCase("/x/executor/ABCDEFGHIJKLMNOPQRSTUVWX1", BundleKind.None)]
    [TestCase("/x/other/abcdefghijklmnopqrstuvwx1", BundleKind.None)]
    [TestCase("/var/tmp/buildahx", BundleKind.None)]
    [TestCase("abcdefghijklmnopqrstuvwx1", BundleKind.None)]
    [TestCase("", BundleKind.None)]
    [TestCase("/", BundleKind.None)]
    public void A_bundle_says_who_runs_it(string path, BundleKind kind)
        => Assert.That(BundlePath.Classify(Encoding.UTF8.GetBytes(path), out _), Is.EqualTo(kind));

    [TestCase("tmp/docker-builder12", DataRootEntry.ClassicContext, "docker-builder12")]
    [TestCase("tmp/docker-builder12/Dockerfile", DataRootEntry.ClassicContextFile, "docker-builder12")]
    [TestCase("tmp/docker-builder12/a/b", DataRootEntry.None, "")]
    [TestCase("tmp/docker-import-1", DataRootEntry.LoadArchive, "docker-import-1")]
    [TestCase("tmp/qemu-check1", DataRootEntry.PlatformProbe, "qemu-check1")]
    [TestCase("buildkit/executor/abcdefghijklmnopqrstuvwx1/config.json", DataRootEntry.BundleConfig, "abcdefghijklmnopqrstuvwx1")]
    [TestCase("buildkit/executor/short/config.json", DataRootEntry.None, "")]
    [TestCase("image/overlay2/repositories.json", DataRootEntry.Repositories, "")]
    [TestCase("overlay2/abcdefghijklmnopqrstuvwx1/diff/Dockerfile", DataRootEntry.SnapshotFile, "abcdefghijklmnopqrstuvwx1")]
    [TestCase("overlay2/abcdefghijklmnopqrstuvwx1/diff/a/b", DataRootEntry.None, "")]
    [TestCase("overlay2/abcdefghijklmnopqrstuvwx1/diff/", DataRootEntry.None, "")]
    [TestCase("containers/x/config.v2.json", DataRootEntry.None, "")]
    [TestCase("", DataRootEntry.None, "")]
    [TestCase("image/", DataRootEntry.None, "")]
    public void A_path_under_the_data_root_says_what_it_is(string path, DataRootEntry entry, string id)
        => Assert.That((DataRootPath.Classify(Encoding.UTF8.GetBytes(path), out string read), read), Is.EqualTo((entry, id)));

    [TestCase(new[] { "/bin/sh", "-c", "echo x" }, "echo x")]
    [TestCase(new[] { "|1", "V=2", "/bin/sh", "-c", "echo x" }, "echo x")]
    [TestCase(new[] { "/bin/bash", "-c", "a", "b" }, "a b")]
    [TestCase(new[] { "ls", "-l" }, "[\"ls\",\"-l\"]")]
    [TestCase(new string[0], "")]
    [TestCase(new[] { "|2147483647", "x" }, "")]
    [TestCase(new[] { "|9" }, "")]
    public void A_steps_arguments_give_its_command(string[] arguments, string command)
        => Assert.That(StepText.CommandOf(arguments), Is.EqualTo(command));

    [TestCase("docker build -t a:1 /ctx", ClientIntent.Build, "a:1", "", "/ctx")]
    [TestCase("docker -H unix:///x --tls build -ta -fD .", ClientIntent.Build, "a:latest", "D", ".")]
    [TestCase("docker image build --tag=reg:5000/a --file=D --build-arg X=1 ctx", ClientIntent.Build, "reg:5000/a:latest", "D", "ctx")]
    [TestCase("docker buildx build --load -t a:1 -t b:2 .", ClientIntent.Build, "a:1 b:2", "", ".")]
    [TestCase("docker buildx --builder one build -t a .", ClientIntent.Build, "a:latest", "", ".")]
    [TestCase("/usr/libexec/docker/cli-plugins/docker-buildx buildx build -f D -", ClientIntent.Build, "", "D", "-")]
    [TestCase("docker buildx bake", ClientIntent.Build, "", "", "")]
    [TestCase("docker compose up -d", ClientIntent.Build, "", "", "")]
    [TestCase("docker compose -f a.yml -p x build", ClientIntent.Build, "", "", "")]
    [TestCase("docker compose ps", ClientIntent.Other, "", "", "")]
    [TestCase("docker-compose -f x build", ClientIntent.Build, "", "", "")]
    [TestCase("docker pull alpine", ClientIntent.Other, "", "", "")]
    [TestCase("docker ps", ClientIntent.Other, "", "", "")]
    [TestCase("docker", ClientIntent.Unknown, "", "", "")]
    [TestCase("curl -X POST http://h:2375/v1.40/build?t=a%3A1&q=1", ClientIntent.Build, "a:1", "", "-")]
    [TestCase("curl http://h/builder", ClientIntent.Unknown, "", "", "")]
    [TestCase("python3 x.py", ClientIntent.Unknown, "", "", "")]
    public void A_command_line_says_what_is_asked(string line, ClientIntent intent, string tags, string file, string context)
    {
        ClientCommand command = ClientCommand.Parse(line.Split(' '));

        Assert.That((command.Intent, string.Join(' ', command.Tags), command.File, command.Context), Is.EqualTo((intent, tags, file, context)));
    }

    [TestCase("a", "a:latest")]
    [TestCase("a:1", "a:1")]
    [TestCase("h:5000/a", "h:5000/a:latest")]
    [TestCase("a@sha256:0", "a@sha256:0")]
    [TestCase("", "")]
    public void References_are_completed_as_the_engine_does(string reference, string canonical)
        => Assert.That(ClientCommand.Canonical(reference), Is.EqualTo(canonical));

    [TestCase("https://user:pass@host/x", "https://***@host/x")]
    [TestCase("PASSWORD=hunter2 go", "PASSWORD=*** go")]
    [TestCase("--token: abc", "--token: ***")]
    [TestCase("Authorization: Bearer abc.def", "Authorization: Bearer ***")]
    [TestCase("X-Registry-Auth: eyJ4", "X-Registry-Auth: ***")]
    [TestCase("curl http://203.0.113.66/x", "curl http://203.0.113.66/x")]
    [TestCase("curl -u user:hunter2 http://h/x", "curl -u user:*** http://h/x")]
    [TestCase("curl --user=user:hunter2 x", "curl --user=user:*** x")]
    [TestCase("tool --password pw123 --db-token 'abc def'", "tool --password *** --db-token '*** def'")]
    [TestCase("curl -H 'X-Auth: topsek' x", "curl -H 'X-Auth: ***' x")]
    [TestCase("docker build --build-arg MYKEY=value -t a .", "docker build --build-arg MYKEY=*** -t a .")]
    [TestCase("docker build --secret id=key,src=./key .", "docker build --secret id=key,src=./key .")]
    [TestCase("docker run -p 80:80 -u 1000 a", "docker run -p 80:80 -u 1000 a")]
    public void Secrets_are_masked_and_the_rest_stays(string text, string masked)
        => Assert.That(Redactor.Redact(text), Is.EqualTo(masked));

    [Test]
    public void A_secret_that_is_the_next_argument_is_masked()
        => Assert.That(
            Redactor.RedactArguments(["curl", "-u", "user:hunter2", "--password", "pw", "--build-arg", "K=v", "-o", "/x", "--secret", "id=a"]),
            Is.EqualTo(new[] { "curl", "-u", "user:***", "--password", "***", "--build-arg", "K=***", "-o", "/x", "--secret", "id=a" }));

    [TestCase("a", "://")]
    [TestCase("--password ", "")]
    [TestCase("--build-arg a=", "")]
    [TestCase("-u a", ":")]
    [TestCase("secret", "")]
    [TestCase("token=", "")]
    [TestCase("password ", "")]
    [CancelAfter(20_000)]
    public void A_megabyte_that_almost_matches_is_redacted_in_time(string repeated, string end)
    {
        string text = string.Concat(Enumerable.Repeat(repeated, (1 << 20) / repeated.Length)) + end;
        Task<string> redacted = Task.Run(() => Redactor.Redact(text));

        Assert.That(redacted.Wait(TimeSpan.FromSeconds(15)), Is.True);
    }

    [TestCase("203.0.113.66", "203.0.113.66", 80, EgressProtocol.Tcp, true)]
    [TestCase("203.0.113.0/24", "203.0.113.66", 80, EgressProtocol.Tcp, true)]
    [TestCase("203.0.113.0/24", "203.0.114.1", 80, EgressProtocol.Tcp, false)]
    [TestCase("203.0.113.66:443", "203.0.113.66", 80, EgressProtocol.Tcp, false)]
    [TestCase("203.0.113.66:53/udp", "203.0.113.66", 53, EgressProtocol.Udp, true)]
    [TestCase("203.0.113.66:53/udp", "203.0.113.66", 53, EgressProtocol.Tcp, false)]
    [TestCase("[2001:db8::/32]:443", "2001:db8:1::1", 443, EgressProtocol.Tcp, true)]
    [TestCase("2001:db8::1", "2001:db8::1", 1, EgressProtocol.Udp, true)]
    [TestCase("::ffff:203.0.113.66", "203.0.113.66", 1, EgressProtocol.Tcp, true)]
    [TestCase("0.0.0.0/0", "203.0.113.66", 1, EgressProtocol.Tcp, true)]
    [TestCase("0.0.0.0/0", "2001:db8::1", 1, EgressProtocol.Tcp, false)]
    [TestCase("::/0", "2001:db8::1", 1, EgressProtocol.Tcp, true)]
    public void A_pattern_matches_what_it_says(string pattern, string address, int port, EgressProtocol protocol, bool matches)
    {
        Assert.That(DestinationPattern.TryParse(pattern, out DestinationPattern? parsed), Is.True);
        Assert.That(parsed!.Matches(Scene.To(address, (ushort)port, protocol)), Is.EqualTo(matches));
    }

    [TestCase("")]
    [TestCase("203.0.113.66:")]
    [TestCase("203.0.113.66:0")]
    [TestCase("203.0.113.66:70000")]
    [TestCase("203.0.113.66:1/")]
    [TestCase("203.0.113.66:1/17")]
    [TestCase("203.0.113.66:1/tcp,udp")]
    [TestCase("203.0.113.0/33")]
    [TestCase("2001:db8::/129")]
    [TestCase("[2001:db8::1")]
    [TestCase("[2001:db8::1]443")]
    public void A_pattern_that_says_nothing_is_refused(string pattern)
        => Assert.That(DestinationPattern.TryParse(pattern, out _), Is.False);

    [Test]
    public void Both_spellings_of_an_IPv4_address_are_one()
    {
        Assert.That(Scene.Address("::ffff:203.0.113.66"), Is.EqualTo(Scene.Address("203.0.113.66")));
        Assert.That(Scene.Address("::ffff:203.0.113.66").ToString(), Is.EqualTo("203.0.113.66"));
        Assert.That(Scene.To("2001:db8::1", 443).ToString(), Is.EqualTo("[2001:db8::1]:443/tcp"));
    }

    [Test]
    public void Text_for_people_holds_no_control_and_no_direction_characters()
    {
        string shown = SafeText.Display("a\u001b[2J\n\u202eb\u0007" + new string('x', 500), 100);

        Assert.That(shown, Has.Length.LessThanOrEqualTo(110).And.StartWith("a"));
        Assert.That(shown.Any(static c => char.IsControl(c) || c == '\u202e'), Is.False);
    }
}
