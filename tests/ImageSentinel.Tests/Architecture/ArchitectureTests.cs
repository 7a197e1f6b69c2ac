using System.Text.RegularExpressions;
using System.Xml.Linq;
using ImageSentinel.Detection.Detectors;
using ImageSentinel.Tests.Support;
using NUnit.Framework;

namespace ImageSentinel.Tests.Architecture;

/// <summary>Which project may use which, and what the outside may rely on.</summary>
[TestFixture]
public sealed partial class ArchitectureTests
{
    private static readonly string[] Projects = ["Kernel", "Interop", "Detection", "Docker", "Sensors", "Protocol", "Agent", "Collector"];

    // Names that scripts rely on; a new detector is added here and in the documentation.
    private static readonly string[] PublicDetectors =
    [
        "build-by-unexpected-client", "image-burst", "image-without-build", "builder-in-container", "never-seen-egress",
        "indicator-match", "unlisted-registry", "downloaded-executable", "egress-fan-out", "metadata-service", "name-tunnel",
        "unusual-egress-path", "persistence-write", "tainted-image-deployed", "record-mismatch", "sensor-tampered", "coverage-gap",
    ];

    private static string ProjectFile(string project)
        => RepositoryFiles.PathOf("src", $"ImageSentinel.{project}", $"ImageSentinel.{project}.csproj");

    private static IEnumerable<string> Sources(string project)
    {
        string folder = RepositoryFiles.PathOf("src", $"ImageSentinel.{project}");
        return Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal));
    }

    [TestCase("Kernel")]
    [TestCase("Interop")]
    [TestCase("Detection")]
    [TestCase("Protocol")]
    [TestCase("Docker", "Detection")]
    [TestCase("Sensors", "Kernel", "Interop", "Detection", "Docker")]
    [TestCase("Agent", "Sensors", "Protocol")]
    [TestCase("Collector", "Protocol")]
    public void A_project_references_only_what_the_design_says(string project, params string[] allowed)
    {
        string[] references = [.. XDocument.Load(ProjectFile(project)).Descendants("ProjectReference")
            .Select(static r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value).Replace("ImageSentinel.", "", StringComparison.Ordinal))];

        Assert.That(references, Is.SubsetOf(allowed));
    }

    [Test]
    public void Every_project_is_judged()
        => Assert.That(
            Directory.EnumerateDirectories(RepositoryFiles.PathOf("src")).Select(static d => Path.GetFileName(d).Replace("ImageSentinel.", "", StringComparison.Ordinal)),
            Is.EquivalentTo(Projects));

    [Test]
    public void Only_Interop_is_allowed_unsafe_code_and_the_C_library()
    {
        foreach (string project in Projects.Where(static p => p != "Interop"))
        {
            string text = File.ReadAllText(ProjectFile(project));
            Assert.That(text, Does.Not.Contain("AllowUnsafeBlocks").And.Not.Contain("Tmds.LibC"), project);
            foreach (string source in Sources(project))
            {
                Assert.That(UnsafeCode().IsMatch(File.ReadAllText(source)), Is.False, $"{source} goes around Interop");
            }
        }

        Assert.That(File.ReadAllText(ProjectFile("Interop")), Does.Contain("AllowUnsafeBlocks"));
    }

    [TestCase("Detection")]
    [TestCase("Kernel")]
    public void The_pure_projects_read_no_clock_and_no_file(string project)
    {
        foreach (string source in Sources(project))
        {
            Assert.That(Impure().Match(File.ReadAllText(source)).Value, Is.Empty, source);
        }
    }

    [Test]
    public void Detectors_have_ids_of_their_own_that_are_documented()
    {
        DetectorDefinition[] definitions = [.. typeof(DetectorDefinition).GetProperties()
            .Where(static p => p.PropertyType == typeof(DetectorDefinition))
            .Select(static p => (DetectorDefinition)p.GetValue(null)!)];

        Assert.That(definitions, Is.Not.Empty);
        Assert.That(definitions.Select(static d => d.Id), Is.Unique);
        Assert.That(definitions.Select(static d => d.Id), Is.SubsetOf(PublicDetectors));
        Assert.That(definitions.Select(static d => d.Title), Is.Unique.And.None.Empty);
    }

    [GeneratedRegex(@"\bunsafe\b\s*(\{|class|struct|static|void|ref|\()|\[(LibraryImport|DllImport)\b|using Tmds")]
    private static partial Regex UnsafeCode();

    [GeneratedRegex(@"DateTime(Offset)?\.(Utc)?Now|Stopwatch\.|Environment\.TickCount|\bFile\.(Open|Read|Write|Exists)|new FileStream|TimeProvider\.System|Guid\.NewGuid")]
    private static partial Regex Impure();
}
