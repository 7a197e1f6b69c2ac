using System.Buffers;
using System.Text;
using ImageSentinel.Kernel.Audit;
using NUnit.Framework;

namespace ImageSentinel.Tests.Kernel;

public sealed class SocketAddressTests
{
    [TestCase("02000050CB0071630000000000000000", SocketAddressKind.InternetV4, "203.0.113.99", 80u, "")]
    [TestCase("02000050CB007163", SocketAddressKind.InternetV4, "203.0.113.99", 80u, "")]
    [TestCase("0000B1877F0000010000000000000000", SocketAddressKind.Unspecified, "127.0.0.1", 45447u, "")]
    [TestCase("0000", SocketAddressKind.Unspecified, "", 0u, "")]
    [TestCase("0A00B187000000000000000000000000000000000000000100000000", SocketAddressKind.InternetV6, "::1", 45447u, "")]
    [TestCase("0A00B18700000000FE800000000000000000000000000001", SocketAddressKind.InternetV6, "fe80::1", 45447u, "")]
    [TestCase("0A00B1870000000000000000000000000000FFFF7F00000100000000", SocketAddressKind.InternetV4, "127.0.0.1", 45447u, "")]
    [TestCase("01002F72756E2F646F636B65722E736F636B00", SocketAddressKind.UnixPath, "", 0u, "/run/docker.sock")]
    [TestCase("01002F61004747", SocketAddressKind.UnixPath, "", 0u, "/a")]
    [TestCase("01002F61", SocketAddressKind.UnixPath, "", 0u, "/a")]
    [TestCase("0100006833616273", SocketAddressKind.UnixAbstract, "", 0u, "h3abs")]
    [TestCase("0100", SocketAddressKind.UnixUnnamed, "", 0u, "")]
    [TestCase("100000002A00000000000000", SocketAddressKind.Netlink, "", 0u, "")]
    [TestCase("1100080003000000", SocketAddressKind.Packet, "", 0x0800u, "")]
    [TestCase("28000000901F000002000000", SocketAddressKind.Vsock, "", 8080u, "")]
    [TestCase("2D00FFFF", SocketAddressKind.Other, "", 0u, "")]
    public void Addresses_are_read(string hex, SocketAddressKind kind, string address, uint port, string name)
    {
        OperationStatus status = Parse(hex, new byte[SocketAddress.MaxLength], out SocketAddress parsed);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(status, Is.EqualTo(OperationStatus.Done));
            Assert.That(parsed.Kind, Is.EqualTo(kind));
            Assert.That(parsed.IsInternet ? new System.Net.IPAddress(parsed.Address).ToString() : "", Is.EqualTo(address));
            Assert.That(parsed.Port, Is.EqualTo(port));
            Assert.That(Encoding.Latin1.GetString(parsed.Name), Is.EqualTo(name));
        }
    }

    [TestCase("")]
    [TestCase("02")]
    [TestCase("02000050CB0071")]
    [TestCase("0A00B1877F0000010000000000000000")]
    [TestCase("1000")]
    [TestCase("110008000300")]
    [TestCase("28000000901F0000")]
    public void Addresses_that_end_too_early_are_refused(string hex)
        => Assert.That(Parse(hex, new byte[SocketAddress.MaxLength], out _), Is.EqualTo(OperationStatus.NeedMoreData));

    [TestCase("0200005")]
    [TestCase("02XX0050CB007163")]
    public void Text_that_is_not_hex_is_refused(string hex)
        => Assert.That(Parse(hex, new byte[SocketAddress.MaxLength], out _), Is.EqualTo(OperationStatus.InvalidData));

    [Test]
    public void A_mapped_address_is_the_destination_it_maps_and_says_so()
    {
        _ = Parse("0A00B1870000000000000000000000000000FFFF7F00000100000000", new byte[SocketAddress.MaxLength], out SocketAddress mapped);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(mapped.IsMapped, Is.True);
            Assert.That(mapped.Family, Is.EqualTo(10));
            Assert.That(mapped.Address.Length, Is.EqualTo(4));
        }
    }

    [Test]
    public void An_address_longer_than_the_buffer_is_not_cut()
        => Assert.That(Parse("02000050CB0071630000000000000000", new byte[8], out _), Is.EqualTo(OperationStatus.DestinationTooSmall));

    private static OperationStatus Parse(string hex, byte[] buffer, out SocketAddress address)
        => SocketAddress.TryParseRecord(Encoding.ASCII.GetBytes($"saddr={hex}"), buffer, out address);
}
