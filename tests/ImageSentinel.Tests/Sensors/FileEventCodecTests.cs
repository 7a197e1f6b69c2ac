using System.Text;
using CsCheck;
using ImageSentinel.Sensors.Fanotify;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

public sealed class FileEventCodecTests
{
    [TestCase("", "", "")]
    [TestCase("", "tmp", "tmp")]
    [TestCase("tmp", "", "tmp")]
    [TestCase("tmp", "docker-builder1", "tmp/docker-builder1")]
    public void Written_event_is_read_back(string directory, string name, string path)
    {
        byte[] buffer = new byte[FileEventCodec.MaxSize];

        int length = FileEventCodec.Write(buffer, FileEventMask.Found | FileEventMask.Create, 77, 88, 9, Bytes(directory), Bytes(name));
        var reader = new FileEventReader(buffer.AsSpan(0, length));
        bool read = reader.TryRead(out FileEvent fileEvent);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.True);
            Assert.That(fileEvent.Mask, Is.EqualTo(FileEventMask.Found | FileEventMask.Create));
            Assert.That((fileEvent.Pid, fileEvent.StartNanoseconds, (int)fileEvent.Engine), Is.EqualTo((77, 88, 9)));
            Assert.That(Encoding.UTF8.GetString(fileEvent.Path), Is.EqualTo(path));
            Assert.That(reader.TryRead(out _), Is.False);
            Assert.That(reader.IsMalformed, Is.False);
        }
    }

    [Test]
    public void Event_that_does_not_fit_writes_nothing()
    {
        byte[] buffer = new byte[FileEventCodec.HeaderSize + 3];

        int length = FileEventCodec.Write(buffer, 1, 2, 3, 4, Bytes("ab"), Bytes("c"));

        Assert.That((length, buffer.Any(b => b != 0)), Is.EqualTo((0, false)));
    }

    [Test]
    public void Every_prefix_of_an_item_is_read_or_refused_but_never_overrun()
    {
        byte[] item = new byte[512];
        int length = FileEventCodec.Write(item, 1, 2, 3, 4, Bytes("a"), Bytes("b"));
        length += FileEventCodec.Write(item.AsSpan(length), 1, 2, 3, 4, Bytes("c"), Bytes("d"));

        for (int cut = 0; cut <= length; cut++)
        {
            var reader = new FileEventReader(item.AsSpan(0, cut));
            int events = 0;
            while (reader.TryRead(out _))
            {
                events++;
            }

            bool whole = cut is 0 || cut == length / 2 || cut == length;
            Assert.That((events, reader.IsMalformed), Is.EqualTo((cut / (length / 2), !whole)), $"{cut} bytes");
        }
    }

    [Test]
    public void Random_bytes_never_throw()
        => Gen.Byte.Array[0, 300].Sample(bytes =>
        {
            var reader = new FileEventReader(bytes);
            while (reader.TryRead(out _))
            {
            }
        });

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
