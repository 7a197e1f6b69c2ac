using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ImageSentinel.Tests.Uplink;

/// <summary>A certificate authority made for one test; its files are in a directory of the test.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly string _directory;
    private readonly X509Certificate2 _root;

    public TestAuthority(string directory, string name)
    {
        _directory = directory;
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        _root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        CaFile = Write($"{name}.ca.pem", _root.ExportCertificatePem());
    }

    public string CaFile { get; }

    public (string Certificate, string Key) IssueServer(string file, string name = "localhost", IPAddress? address = null, int validDays = 20)
        => Issue(file, $"CN={name}", "1.3.6.1.5.5.7.3.1", names =>
        {
            names.AddDnsName(name);
            names.AddIpAddress(address ?? IPAddress.Loopback);
        }, validDays);

    public (string Certificate, string Key) IssueClient(string file, string subject = "CN=agent-1")
        => Issue(file, subject, "1.3.6.1.5.5.7.3.2", names => names.AddDnsName("agent"), 20);

    public void Dispose() => _root.Dispose();

    private (string Certificate, string Key) Issue(string file, string subject, string usage, Action<SubjectAlternativeNameBuilder> name, int validDays)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        name(names);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        byte[] serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7f;
        DateTimeOffset from = DateTimeOffset.UtcNow.AddHours(-2);
        using X509Certificate2 issued = request.Create(_root, from, validDays > 0 ? from.AddDays(validDays) : from.AddHours(1), serial);
        return (Write($"{file}.pem", issued.ExportCertificatePem()), Write($"{file}.key", key.ExportPkcs8PrivateKeyPem()));
    }

    private string Write(string name, string pem)
    {
        string path = Path.Combine(_directory, name);
        File.WriteAllText(path, pem);
        return path;
    }
}
