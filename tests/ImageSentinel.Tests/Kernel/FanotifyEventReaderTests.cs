using System.Buffers.Binary;
using System.Text;
using ImageSentinel.Kernel.Fanotify;
using ImageSentinel.Kernel.Numbers;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class FanotifyEventReaderTests
{
    [Test]
    public void An_overflow_is_told_before_anything_else_of_it_is_read()
    {
        // What a kernel would never send: an overflow with a descriptor and a broken record. Nothing of it is believed.
        byte[] buffer = Event(FanotifyConstants.FAN_Q_OVERFLOW, descriptor: 7, [4, 0, 0xff, 0xff]);

        var reader = new FanotifyEventReader(buffer);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out FanotifyEvent overflow), Is.True);
            Assert.That(overflow.IsOverflow, Is.True);
            Assert.That(overflow.Descriptor, Is.EqualTo(-1));
            Assert.That(overflow.PidDescriptor, Is.EqualTo(-1));
            Assert.That(overflow.IsMalformed, Is.False);
            Assert.That(reader.TryRead(out _), Is.False);
        }
    }

    [Test]
    public void The_overflow_of_a_real_queue_follows_its_last_event()
    {
        var reader = new FanotifyEventReader(KernelCorpus.Read("fanotify", "q-overflow-tail.bin"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out FanotifyEvent last), Is.True);
            Assert.That(Encoding.ASCII.GetString(last.Name), Is.EqualTo("o16383"));
            Assert.That(reader.TryRead(out FanotifyEvent overflow), Is.True);
            Assert.That(overflow.IsOverflow, Is.True);
            Assert.That(reader.TryRead(out _), Is.False);
            Assert.That(reader.IsMalformed, Is.False);
        }
    }

    [Test]
    public void A_process_moved_into_a_new_cgroup_tells_the_cgroup_by_its_id()
    {
        var reader = new FanotifyEventReader(KernelCorpus.Read("fanotify", "cgroup-mkdir-attach-rmdir.bin"));
        _ = reader.TryRead(out FanotifyEvent created);
        _ = reader.TryRead(out FanotifyEvent modified);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Encoding.ASCII.GetString(created.Name), Is.EqualTo("h3cap"));
            Assert.That(created.IsDirectory, Is.True);
            Assert.That(Encoding.ASCII.GetString(modified.Name), Is.EqualTo("cgroup.procs"));
            Assert.That(modified.Directory.TryGetCgroupId(out ulong id), Is.True);
            Assert.That(id, Is.EqualTo(0x1aa7));
        }
    }

    [Test]
    public void Descriptors_of_a_malformed_event_still_reach_their_owner()
    {
        byte[] buffer = Event(FanotifyConstants.FAN_OPEN, descriptor: 7, [4, 0, 8, 0, 9, 0, 0, 0, 2, 0, 0xff, 0xff]);

        var reader = new FanotifyEventReader(buffer);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out FanotifyEvent broken), Is.True);
            Assert.That(broken.IsMalformed, Is.True);
            Assert.That(broken.Descriptor, Is.EqualTo(7));
            Assert.That(broken.PidDescriptor, Is.EqualTo(9));
        }
    }

    [TestCase("02 00 18 00 0000000000000000 0f000000 01000000 41414141", TestName = "A_handle_longer_than_its_record")]
    [TestCase("02 00 18 00 0000000000000000 04000000 01000000 41414141", TestName = "A_name_that_is_missing")]
    [TestCase("02 00 1c 00 0000000000000000 04000000 01000000 41414141 42424242", TestName = "A_name_without_an_end")]
    [TestCase("02 00 10 00 0000000000000000 04000000", TestName = "A_handle_without_a_type")]
    [TestCase("02 00 03 00", TestName = "A_record_shorter_than_its_header")]
    [TestCase("02 00", TestName = "A_record_that_ends_in_its_header")]
    [TestCase("04 00 04 00", TestName = "A_pid_descriptor_that_is_missing")]
    [TestCase("05 00 08 00 00000000", TestName = "An_error_that_is_cut")]
    [TestCase("07 00 08 00 00000000", TestName = "A_mount_that_is_cut")]
    public void Information_that_contradicts_its_length_is_told(string hex)
    {
        byte[] buffer = Event(FanotifyConstants.FAN_CREATE, -1, Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)));

        var reader = new FanotifyEventReader(buffer);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out FanotifyEvent broken), Is.True);
            Assert.That(broken.IsMalformed, Is.True);
            Assert.That(reader.IsMalformed, Is.False);
        }
    }

    [Test]
    public void Information_of_a_newer_kernel_is_stepped_over()
    {
        byte[] buffer = Event(FanotifyConstants.FAN_OPEN, -1, [99, 0, 8, 0, 1, 2, 3, 4, 4, 0, 8, 0, 5, 0, 0, 0]);

        var reader = new FanotifyEventReader(buffer);
        _ = reader.TryRead(out FanotifyEvent known);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(known.IsMalformed, Is.False);
            Assert.That(known.PidDescriptor, Is.EqualTo(5));
        }
    }

    [Test]
    public void Another_metadata_version_ends_the_reading()
    {
        byte[] buffer = Event(FanotifyConstants.FAN_OPEN, 7, []);
        buffer[4] = 4;

        var reader = new FanotifyEventReader(buffer);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out FanotifyEvent none), Is.False);
            Assert.That(reader.IsUnknownVersion, Is.True);
            Assert.That(none.Descriptor, Is.EqualTo(-1));
        }
    }

    [Test]
    public void A_longer_metadata_of_a_newer_kernel_is_stepped_over()
    {
        byte[] buffer = Event(FanotifyConstants.FAN_OPEN, 7, [1, 2, 3, 4, 5, 6, 7, 8, 4, 0, 8, 0, 9, 0, 0, 0]);
        BinaryPrimitives.WriteUInt16LittleEndian(buffer.AsSpan(6), 32);

        var reader = new FanotifyEventReader(buffer);
        _ = reader.TryRead(out FanotifyEvent known);

        Assert.That((known.PidDescriptor, known.IsMalformed), Is.EqualTo((9, false)));
    }

    [TestCase(23u)]
    [TestCase(0u)]
    [TestCase(25u)]
    [TestCase(uint.MaxValue)]
    public void An_event_length_that_contradicts_the_buffer_ends_the_reading(uint length)
    {
        byte[] buffer = Event(FanotifyConstants.FAN_OPEN, 7, []);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer, length);

        var reader = new FanotifyEventReader(buffer);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.TryRead(out _), Is.False);
            Assert.That(reader.IsMalformed, Is.True);
        }
    }

    private static byte[] Event(ulong mask, int descriptor, byte[] information)
    {
        byte[] buffer = new byte[FanotifyEventReader.MetadataSize + information.Length];
        BinaryPrimitives.WriteInt32LittleEndian(buffer, buffer.Length);
        buffer[4] = FanotifyConstants.FANOTIFY_METADATA_VERSION;
        BinaryPrimitives.WriteUInt16LittleEndian(buffer.AsSpan(6), FanotifyEventReader.MetadataSize);
        BinaryPrimitives.WriteUInt64LittleEndian(buffer.AsSpan(8), mask);
        BinaryPrimitives.WriteInt32LittleEndian(buffer.AsSpan(16), descriptor);
        information.CopyTo(buffer, FanotifyEventReader.MetadataSize);
        return buffer;
    }
}
