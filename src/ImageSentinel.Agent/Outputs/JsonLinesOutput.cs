using System.Text;
using ImageSentinel.Interop;
using ImageSentinel.V1;

namespace ImageSentinel.Agent.Outputs;

/// <summary>Appends one JSON object per line to a file, or to standard output.</summary>
/// <remarks>
/// Owns its stream, not standard output's. Opens the file again when another one stands in its place (a rotation by
/// rename) and on <see cref="Reopen"/>; goes to the file's end before each batch, so a rotation by truncation leaves no
/// hole. A line that a full disk cut short is closed by a line's end before the next one, so one record is torn at most.
/// </remarks>
public sealed class JsonLinesOutput : IRecordOutput
{
    private const UnixFileMode ForShippers = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    private readonly string _path;
    private readonly bool _owned;
    private Stream? _stream;
    private FileIdentity? _identity;
    private bool _torn;

    /// <param name="path">Absolute.</param>
    public JsonLinesOutput(string path)
    {
        _path = path;
        _owned = true;
        Name = $"json_lines {path}";
    }

    public JsonLinesOutput(Stream standardOutput)
    {
        _path = "";
        _stream = standardOutput;
        Name = "json_lines on standard output";
    }

    public string Name { get; }

    public void Write(IReadOnlyList<OutputRecord> batch)
    {
        Stream stream = Open();
        if (_owned && stream.CanSeek)
        {
            stream.Seek(0, SeekOrigin.End);
        }

        foreach (OutputRecord record in batch)
        {
            string line = RecordJson.Line(record) + "\n";
            byte[] bytes = Encoding.UTF8.GetBytes(_torn ? "\n" + line : line);
            _torn = true;
            stream.Write(bytes);
            stream.Flush();
            _torn = false;
        }
    }

    public void Reopen()
    {
        if (_owned)
        {
            Close();
        }
    }

    public void Dispose() => Reopen();

    private Stream Open()
    {
        if (_owned && _stream is not null && SafeFile.IdentityOf(_path) != _identity)
        {
            Close();
        }

        if (_stream is not null)
        {
            return _stream;
        }

        // No buffer: a line is one write, and what was written is with the kernel when the agent dies.
        bool made = !File.Exists(_path);
        var stream = new FileStream(_path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.Write,
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
            UnixCreateMode = ForShippers,
        });
        if (made)
        {
            // The agent's umask keeps everything else private; a log shipper of the file's group reads this one.
            File.SetUnixFileMode(stream.SafeFileHandle, ForShippers);
        }

        _stream = stream;
        _identity = SafeFile.IdentityOf(_path);
        return _stream;
    }

    private void Close()
    {
        Stream? stream = _stream;
        _stream = null;
        _identity = null;
        _torn = false;
        stream?.Dispose();
    }
}
