using ImageSentinel.Detection.Model;
using ImageSentinel.Sensors.Replay;
using ImageSentinel.Sensors.Stream;
using NUnit.Framework;

namespace ImageSentinel.Tests.Replay;

[TestFixture]
public sealed class CaptureWindowTests
{
    private static SensorItem Item(long second, int size = 100, SensorKind kind = SensorKind.Audit)
        => new(kind, second * Stamp.Second, second * Stamp.Second, new byte[size], size);

    private static void Keep(CaptureWindow window, Fact fact, long second)
        => window.Keep(FactCodec.ToItem(fact, second * Stamp.Second, second * Stamp.Second), fact);

    [Test]
    public void What_a_replay_needs_from_before_comes_first_and_in_time()
    {
        var window = new CaptureWindow();
        Keep(window, new ReadyFact(false, false, ""), 2);
        Keep(window, new TagsFact(0, []), 3);
        Keep(window, new TagsFact(0, [new ImageTag("a:1", "i")]), 4);
        for (int i = 10; i < 20; i++)
        {
            window.Keep(Item(i), null);
        }

        IReadOnlyList<SensorItem> items = window.Since(15 * Stamp.Second, out bool whole);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(whole, Is.True);
            Assert.That(FactCodec.FromItem(items[0]), Is.TypeOf<TagsFact>().And.Property("Tags").Count.EqualTo(1));
            Assert.That(FactCodec.FromItem(items[1]), Is.TypeOf<ReadyFact>());
            Assert.That(items.Skip(2).Select(static i => i.BootNanoseconds / Stamp.Second), Is.EqualTo(new long[] { 15, 16, 17, 18, 19 }));
            Assert.That(items.Select(static i => i.BootNanoseconds), Is.Ordered);
        }
    }

    [Test]
    public void The_window_is_bounded_and_says_when_it_is_not_whole()
    {
        var window = new CaptureWindow();
        for (int i = 0; i < 40; i++)
        {
            window.Keep(Item(i, 1 << 20), null);
        }

        IReadOnlyList<SensorItem> items = window.Since(0, out bool whole);

        Assert.That(whole, Is.False);
        Assert.That(items.Sum(static i => (long)i.Length), Is.LessThanOrEqualTo(CaptureWindow.MaximumBytes));
        Assert.That(items[^1].BootNanoseconds, Is.EqualTo(39 * Stamp.Second));
    }

    [Test]
    public void A_flood_does_not_push_out_the_minutes_before_it()
    {
        var window = new CaptureWindow();
        window.Keep(Item(1), null);
        for (int i = 0; i < 1000; i++)
        {
            window.Keep(Item(2, 1 << 20), null);
        }

        IReadOnlyList<SensorItem> items = window.Since(0, out bool whole);

        Assert.That(items[0].BootNanoseconds, Is.EqualTo(Stamp.Second));
        Assert.That(whole, Is.False);
    }
}
