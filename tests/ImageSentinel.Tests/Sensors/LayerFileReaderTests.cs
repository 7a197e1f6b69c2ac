using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;
using ImageSentinel.Sensors.Lookups;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>Files that a stranger wrote to be looked at.</summary>
public sealed class LayerFileReaderTests
{
    private const string Layer = "abcdefghijklmnopqrstuvwxy";
    private string _root = "";
    private string _layer = "";

    [SetUp]
    public void MakeLayer()
    {
        _root = Directory.CreateTempSubdirectory("is-layerfiles-").FullName;
        _layer = Path.Combine(_root, "overlay2", Layer, "diff");
        Directory.CreateDirectory(_layer);
    }

    [TearDown]
    public void RemoveLayer() => Run("rm", "-rf", _root); // The runtime cannot spell every name that is in there.

    [Test]
    public void Program_is_told_with_size_mode_and_hash()
    {
        byte[] content = [0x7f, (byte)'E', (byte)'L', (byte)'F', .. new byte[300_000]];
        File.WriteAllBytes(Path.Combine(_layer, "program"), content);

        LayerFileFact fact = Look("program"u8.ToArray());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fact.Kind, Is.EqualTo(FileKind.Elf));
            Assert.That(fact.Size, Is.EqualTo(content.Length));
            Assert.That(fact.Sha256, Is.EqualTo(Convert.ToHexStringLower(SHA256.HashData(content))));
            Assert.That(fact.Note, Is.Empty);
        }
    }

    [Test]
    public void Pipe_socket_directory_and_link_are_refused_without_waiting()
    {
        Run("mkfifo", Path.Combine(_layer, "pipe"));
        Directory.CreateDirectory(Path.Combine(_layer, "directory"));
        File.CreateSymbolicLink(Path.Combine(_layer, "link"), "/etc/shadow");
        File.CreateSymbolicLink(Path.Combine(_layer, "elsewhere"), "/etc");

        foreach (string name in (string[])["pipe", "directory", "link", "elsewhere/shadow"])
        {
            LayerFileFact fact = Look(Encoding.UTF8.GetBytes(name));
            Assert.That((fact.Note, fact.Size, fact.Sha256), Is.EqualTo((LayerFileReader.NoFile, -1L, "")), name);
        }
    }

    [Test]
    public void A_writer_that_waits_at_a_pipe_goes_on_waiting()
    {
        string pipe = Path.Combine(_layer, "pipe");
        Run("mkfifo", pipe);
        using Process writer = Process.Start("/bin/sh", ["-c", $"echo x > '{pipe}'"]);

        for (int i = 0; i < 20; i++)
        {
            Look("pipe"u8.ToArray());
        }

        bool woken = writer.WaitForExit(200);
        File.ReadAllText(pipe);
        writer.WaitForExit();
        Assert.That(woken, Is.False);
    }

    [Test]
    public void Sparse_file_of_a_terabyte_costs_nothing()
    {
        using (FileStream file = File.Create(Path.Combine(_layer, "sparse")))
        {
            file.Write("#!/bin/sh\n"u8);
            file.SetLength(1L << 40);
        }

        LayerFileFact fact = Look("sparse"u8.ToArray());

        Assert.That((fact.Size, fact.Note, fact.Sha256, fact.Kind), Is.EqualTo((1L << 40, LayerFileReader.TooLarge, "", FileKind.Script)));
    }

    [Test]
    public void Names_of_any_bytes_are_found()
    {
        byte[] name = [(byte)'a', (byte)'\n', 0x1b, 0xff, 0xfe];
        Run("/bin/sh", "-c", $"printf '#!x' > \"$(printf '{_layer}/a\\n\\033\\377\\376')\"");

        Assert.That(Look(name).Kind, Is.EqualTo(FileKind.Script));
    }

    [Test]
    public void Path_longer_than_any_is_refused_and_absent_file_is_gone()
    {
        Assert.That(Look([.. Enumerable.Repeat((byte)'n', 4096)]).Note, Is.EqualTo(LayerFileReader.NoFile));
        Assert.That(Look("nothing"u8.ToArray()).Note, Is.EqualTo(LayerFileReader.Gone));
        Assert.That(Look("../../../etc/passwd"u8.ToArray()).Size, Is.EqualTo(-1));
    }

    [Test]
    public void File_that_changes_all_the_time_is_never_told_with_a_hash()
    {
        string path = Path.Combine(_layer, "moving");
        File.WriteAllBytes(path, [0x7f, (byte)'E', (byte)'L', (byte)'F', .. new byte[8_000_000]]);
        using var stop = new CancellationTokenSource();
        Task changing = Task.Run(() =>
        {
            using FileStream file = File.OpenWrite(path);
            while (!stop.IsCancellationRequested)
            {
                file.Position = 100;
                file.WriteByte(1);
                file.Flush();
            }
        });

        LayerFileFact fact = Look("moving"u8.ToArray());
        stop.Cancel();
        changing.Wait();

        Assert.That((fact.Note, fact.Sha256), Is.EqualTo((LayerFileReader.Changed, "")));
    }

    [Test]
    public void Questions_beyond_the_bound_are_dropped_and_counted()
    {
        using var reader = new LayerFileReader(_ => _root, static _ => { });
        for (int i = 0; i < 20_000; i++)
        {
            reader.Ask(new LayerFileLookup(0, Layer, "x"u8.ToArray()));
        }

        Assert.That(reader.Dropped, Is.EqualTo(20_000 - 8192));
    }

    private LayerFileFact Look(byte[] path)
    {
        using var answered = new ManualResetEventSlim();
        LayerFileFact? answer = null;
        using var reader = new LayerFileReader(_ => _root, fact =>
        {
            answer = fact;
            answered.Set();
        });
        reader.Start();
        reader.Ask(new LayerFileLookup(0, Layer, path));
        Assert.That(answered.Wait(TimeSpan.FromSeconds(30)), Is.True, "an answer");
        return answer!;
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero);
    }
}
