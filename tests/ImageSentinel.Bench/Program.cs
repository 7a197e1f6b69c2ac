using System.Globalization;

namespace ImageSentinel.Bench;

/// <summary>The benchmarks' own part; <c>tests/bench/bench</c> runs it beside its peers.</summary>
internal static class Program
{
    private const string Usage = """
        usage: ImageSentinel.Bench generate SAMPLES OUT --records N --rate EVENTS_PER_SECOND --ends yes|no
               ImageSentinel.Bench parse LOG
               ImageSentinel.Bench lookup DESTINATIONS
               ImageSentinel.Bench indicators COUNT
               ImageSentinel.Bench fuzz dns|hello|http|packet|feed --inputs N [--seed S]
        """;

    private static int Main(string[] arguments)
    {
        try
        {
            switch (arguments)
            {
                case ["generate", string samples, string output, "--records", string records, "--rate", string rate, "--ends", string ends]:
                    Console.WriteLine(AuditLogGenerator.Write(samples, output, Number(records), Number(rate), ends == "yes"));
                    return 0;
                case ["parse", string log]:
                    Console.WriteLine(ParseBench.Run(log));
                    return 0;
                case ["lookup", string destinations]:
                    Console.WriteLine(LookupBench.Run(Number(destinations)));
                    return 0;
                case ["indicators", string count]:
                    Console.WriteLine(IndicatorBench.Run(Number(count)));
                    return 0;
                case ["fuzz", string target, "--inputs", string inputs]:
                    Console.WriteLine(FuzzRun.Run(target, Number(inputs), 1612));
                    return 0;
                case ["fuzz", string target, "--inputs", string inputs, "--seed", string seed]:
                    Console.WriteLine(FuzzRun.Run(target, Number(inputs), Number(seed)));
                    return 0;
                default:
                    Console.Error.WriteLine(Usage);
                    return 64;
            }
        }
        catch (Exception e) when (e is IOException or FormatException or InvalidDataException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }

    private static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}
