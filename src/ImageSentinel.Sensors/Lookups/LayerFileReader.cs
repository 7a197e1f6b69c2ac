using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Model;
using ImageSentinel.Interop;

namespace ImageSentinel.Sensors.Lookups;

/// <summary>Looks at files that steps wrote: kind by the first bytes, size, SHA-256 of programs, scripts and archives.</summary>
/// <remarks>
/// Owns one thread of low priority. Everything about these files was chosen by a
/// stranger, who may still be writing: they are opened below the data root only (see <see cref="RegularFile"/>), nothing
/// but a regular file is read, at most <see cref="LargestHashed"/> bytes of it, and at most <see cref="BytesPerSecond"/>
/// on average. Questions beyond <see cref="MaximumWaiting"/> are dropped and counted.
/// </remarks>
public sealed class LayerFileReader : IDisposable
{
    /// <summary>Larger files are told with their size and kind alone.</summary>
    public const long LargestHashed = 128L << 20;

    public const string Changed = "changed while it was read";
    public const string TooLarge = "too large to be hashed";
    public const string Gone = "gone before it could be read";
    public const string NoFile = "no regular file: a link, a pipe, a device or a directory";
    public const string Unreadable = "could not be read";
    public const string OverBudget = "not hashed: too much was written at once";

    private const int MaximumWaiting = 8192;
    private const long BytesPerSecond = 64L << 20;
    private const long Burst = 1L << 30;
    private const int BlockSize = 256 * 1024;
    private const int Attempts = 3;

    private readonly BlockingCollection<LayerFileLookup> _questions = new(MaximumWaiting);
    private readonly Func<int, string?> _dataRootOf;
    private readonly Action<LayerFileFact> _tell;
    private readonly Thread _thread;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private long _spent;
    private long _dropped;

    /// <param name="dataRootOf">An engine's data root by its number; null while it is not known.</param>
    /// <param name="tell">Takes each answer, on this reader's thread.</param>
    public LayerFileReader(Func<int, string?> dataRootOf, Action<LayerFileFact> tell)
    {
        _dataRootOf = dataRootOf;
        _tell = tell;
        _thread = new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "is-hash", Priority = ThreadPriority.BelowNormal };
    }

    public long Dropped => Interlocked.Read(ref _dropped);

    public void Start() => _thread.Start();

    /// <summary>Takes a question; never blocks.</summary>
    public void Ask(LayerFileLookup lookup)
    {
        if (_questions.IsAddingCompleted || !_questions.TryAdd(lookup))
        {
            _ = Interlocked.Increment(ref _dropped);
        }
    }

    public void Dispose()
    {
        _questions.CompleteAdding();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _questions.Dispose();
    }

    private void Run()
    {
        byte[] block = new byte[BlockSize];
        foreach (LayerFileLookup lookup in _questions.GetConsumingEnumerable())
        {
            // Stopping: nobody waits for what is left.
            if (!_questions.IsAddingCompleted)
            {
                _tell(Answer(lookup, block));
            }
        }
    }

    private LayerFileFact Answer(LayerFileLookup lookup, byte[] block)
    {
        try
        {
            if (_dataRootOf(lookup.Engine) is not { } root)
            {
                return Without(lookup, Unreadable);
            }

            using FileSystemAnchor anchor = FileSystemAnchor.Open(root);
            SafeReadStatus status = RegularFile.Open(anchor, LayerPath.Of(lookup.Layer, lookup.Path), out RegularFile? file);
            if (file is null)
            {
                return Without(lookup, status == SafeReadStatus.NotFound ? Gone : NoFile);
            }

            using (file)
            {
                return Look(lookup, file, block);
            }
        }
        catch (LinuxException)
        {
            _ = Interlocked.Increment(ref _dropped);
            return Without(lookup, Unreadable);
        }
    }

    private LayerFileFact Look(LayerFileLookup lookup, RegularFile file, byte[] block)
    {
        FileFacts facts = file.Facts();
        int head = file.Read(0, block.AsSpan(0, FileKinds.HeadLength));
        FileKind kind = FileKinds.Of(block.AsSpan(0, head));
        string note = "";
        string hash = "";
        bool telling = kind is FileKind.Elf or FileKind.Script or FileKind.Archive || (facts.Mode & 0b001_001_001) != 0;
        if (telling && facts.Size > LargestHashed)
        {
            note = TooLarge;
        }
        else if (telling && !MaySpend(facts.Size))
        {
            note = OverBudget;
        }
        else if (telling)
        {
            // A chmod right after the download is no change of content, and still one we must not overlook: read again.
            for (int attempt = 1; ; attempt++)
            {
                hash = Hash(file, block);
                FileFacts after = file.Facts();
                bool same = after == facts;
                facts = after;
                if (same)
                {
                    break;
                }

                if (attempt == Attempts || !MaySpend(facts.Size))
                {
                    (hash, note) = ("", Changed);
                    break;
                }
            }
        }

        return new LayerFileFact(lookup.Engine, lookup.Layer, lookup.Path, facts.Size, facts.Mode, kind, hash, note);
    }

    private static string Hash(RegularFile file, byte[] block)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long offset = 0;
        while (offset <= LargestHashed)
        {
            int count = file.Read(offset, block);
            if (count == 0)
            {
                break;
            }

            hash.AppendData(block, 0, count);
            offset += count;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    // A bucket that fills with time: a step cannot make us read the disk without end.
    private bool MaySpend(long bytes)
    {
        long earned = (long)(_clock.Elapsed.TotalSeconds * BytesPerSecond);
        _spent = Math.Max(_spent, earned - Burst);
        if (_spent + bytes > earned + Burst)
        {
            return false;
        }

        _spent += bytes;
        return true;
    }

    private static LayerFileFact Without(LayerFileLookup lookup, string note)
        => new(lookup.Engine, lookup.Layer, lookup.Path, -1, 0, FileKind.None, "", note);
}
