using System.Net;
using System.Net.Sockets;
using ImageSentinel.Detection.Posture;
using ImageSentinel.Sensors.Lookups;
using NUnit.Framework;

namespace ImageSentinel.Tests.Sensors;

/// <summary>The kernel's tables, read for sockets of this very process.</summary>
[TestFixture]
public sealed class ListeningSocketsTests
{
    [Test]
    public void The_process_that_holds_a_listening_socket_is_found()
    {
        string folder = Directory.CreateTempSubdirectory("imagesentinel-").FullName;
        string path = Path.Combine(folder, "s.sock");
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint(path));
            socket.Listen();

            Assert.That(ListeningSockets.HolderOf(path), Is.EqualTo(Environment.ProcessId));
            Assert.That(ListeningSockets.HolderOf(path + "x"), Is.Null);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void Listeners_are_found_with_their_address_and_without_those_that_are_known_to_be_something_else()
    {
        using var four = new TcpListener(IPAddress.Loopback, 0);
        using var six = new TcpListener(IPAddress.IPv6Loopback, 0);
        four.Start();
        six.Start();
        int port4 = ((IPEndPoint)four.LocalEndpoint).Port;
        int port6 = ((IPEndPoint)six.LocalEndpoint).Port;

        List<ApiListener>? found = ListeningSockets.TcpOf(Environment.ProcessId, []);

        Assert.That(found, Does.Contain(new ApiListener("127.0.0.1", port4)).And.Contain(new ApiListener("::1", port6)));
        Assert.That(ListeningSockets.TcpOf(Environment.ProcessId, [port4]), Does.Not.Contain(new ApiListener("127.0.0.1", port4)));
    }

    [TestCase("0100007F:0947", "127.0.0.1", 2375)]
    [TestCase("00000000:0948", "0.0.0.0", 2376)]
    [TestCase("00000000000000000000000001000000:0947", "::1", 2375)]
    [TestCase("0000000000000000FFFF00000100007F:0947", "127.0.0.1", 2375)]
    public void An_address_of_the_table_is_read_in_the_hosts_byte_order(string text, string address, int port)
    {
        Assert.That(ListeningSockets.TryEndpoint(text, out ApiListener? listener), Is.True);
        Assert.That(listener, Is.EqualTo(new ApiListener(address, port)));
    }

    [TestCase("")]
    [TestCase("0100007F")]
    [TestCase("0100007F:zz")]
    [TestCase("0100007:0947")]
    [TestCase("zzzzzzzz:0947")]
    public void What_is_no_address_is_refused(string text) => Assert.That(ListeningSockets.TryEndpoint(text, out _), Is.False);
}
