using ImageSentinel.Lab.Harness;

namespace ImageSentinel.Lab;

/// <summary>Starts the lab once for the whole run and takes it down, unless somebody had it up already.</summary>
[SetUpFixture]
internal sealed class LabSetUp
{
    private bool _isOurs;

    [OneTimeSetUp]
    public void Start()
    {
        if (Prerequisites.Missing() is { } missing)
        {
            if (missing.IsRequired)
            {
                Assert.Fail(missing.Reason);
            }

            Assert.Ignore(missing.Reason);
        }

        LabHost.Reserve();
        _isOurs = !LabHost.IsUp;
        foreach (string engine in LabHost.Engines)
        {
            LabHost.Up(engine);
        }
    }

    [OneTimeTearDown]
    public void Stop()
    {
        if (_isOurs)
        {
            LabHost.Down();
        }
    }
}
