using System.Text;
using ImageSentinel.Docker;
using NUnit.Framework;

namespace ImageSentinel.Tests.Docker;

[TestFixture]
public sealed class DaemonConfigurationTests
{
    [Test]
    public void Command_line_and_file_are_joined()
    {
        DaemonConfiguration configuration = DaemonConfiguration.Parse(
            ["dockerd", "-H", "unix:///run/docker.sock", "--metrics-addr=127.0.0.1:9323", "--insecure-registry", "a.example:5000"],
            Encoding.UTF8.GetBytes("""{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true, "insecure-registries": ["b.example"], "authorization-plugins": ["opa"]}"""));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(configuration.Hosts, Is.EqualTo(new[] { "unix:///run/docker.sock", "tcp://0.0.0.0:2376" }));
            Assert.That((configuration.Tls, configuration.TlsVerify), Is.EqualTo((true, true)));
            Assert.That(configuration.InsecureRegistries, Is.EqualTo(new[] { "a.example:5000", "b.example" }));
            Assert.That(configuration.AuthorizationPlugins, Is.EqualTo(new[] { "opa" }));
            Assert.That(configuration.OtherPorts, Is.EqualTo(new[] { 9323 }));
        }
    }

    [TestCase("[]")]
    [TestCase("{\"hosts\": 7, \"tls\": \"yes\"}")]
    [TestCase("{\"hosts\": [null, {}]}")]
    [TestCase("{")]
    [TestCase("")]
    public void A_file_that_is_not_what_it_should_be_says_nothing(string file)
    {
        DaemonConfiguration configuration = DaemonConfiguration.Parse(["dockerd"], Encoding.UTF8.GetBytes(file));

        Assert.That((configuration.Hosts.Count, configuration.Tls), Is.EqualTo((0, false)));
    }

    [TestCase("tcp://0.0.0.0:2375", 2375)]
    [TestCase("tcp://[::]:2376", 2376)]
    [TestCase("tcp://0.0.0.0", 0)]
    [TestCase("127.0.0.1:9323", 9323)]
    [TestCase("unix:///run/docker.sock", 0)]
    public void A_listeners_port_is_found(string host, int port) => Assert.That(DaemonConfiguration.PortOf(host), Is.EqualTo(port));
}
