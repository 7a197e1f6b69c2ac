using System.Text;
using Tmds.Linux;

namespace ImageSentinel.Interop;

/// <summary>Who owns a file.</summary>
public static unsafe class FileOwner
{
    /// <summary>Gives a file to a group; the user stays. Does not follow a symbolic link (lchown(2)).</summary>
    /// <exception cref="LinuxException">EPERM for a group we are not in, without CAP_CHOWN.</exception>
    public static void SetGroup(string path, uint group)
    {
        byte[] text = Encoding.UTF8.GetBytes(path + '\0');
        fixed (byte* bytes = text)
        {
            if (LibC.lchown(bytes, uint.MaxValue, group) != 0)
            {
                throw LinuxException.FromLastError("lchown");
            }
        }
    }
}
