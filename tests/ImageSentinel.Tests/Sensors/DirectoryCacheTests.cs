using System.Buffers.Binary;
using System.Text;
using ImageSentinel.Sensors.Fanotify;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

public sealed class DirectoryCacheTests
{
    [Test]
    public void Cache_stays_within_its_bound_and_keeps_what_is_used()
    {
        var cache = new DirectoryCache(capacity: 100);
        cache.Set(Key(0), Fact("hot"));

        for (int i = 1; i < 10_000; i++)
        {
            cache.Set(Key(i), Fact("cold"));
            Assert.That(cache.TryGet(Key(0), out _), Is.True);
        }

        Assert.That(cache.Count, Is.LessThanOrEqualTo(100));
    }

    [Test]
    public void Look_up_of_a_known_directory_does_not_allocate()
    {
        var cache = new DirectoryCache(capacity: 100);
        byte[] key = Key(7);
        cache.Set(key, Fact("tmp"));
        cache.TryGet(key, out _);

        long before = GC.GetAllocatedBytesForCurrentThread();
        bool found = cache.TryGet(key, out _);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.That((found, allocated), Is.EqualTo((true, 0)));
    }

    [Test]
    public void Moved_directory_takes_everything_below_it_along_and_nothing_else()
    {
        var cache = new DirectoryCache(capacity: 100);
        cache.Set(Key(1), Fact("image/tmp/w1"));
        cache.Set(Key(2), Fact("image/tmp/w1/sub"));
        cache.Set(Key(3), Fact("image/tmp/w10"));
        cache.Set(Key(4), new DirectoryFact(1, Encoding.UTF8.GetBytes("image/tmp/w1"), DirectoryInterest.None));

        cache.ForgetBelow(0, "image/tmp/w1"u8);

        Assert.That(Enumerable.Range(1, 4).Select(i => cache.TryGet(Key(i), out _)), Is.EqualTo(new[] { false, false, true, true }));
    }

    private static byte[] Key(int number)
    {
        byte[] key = new byte[20];
        BinaryPrimitives.WriteInt32LittleEndian(key.AsSpan(12), number);
        return key;
    }

    private static DirectoryFact Fact(string path) => new(0, Encoding.UTF8.GetBytes(path), DirectoryInterest.None);
}
