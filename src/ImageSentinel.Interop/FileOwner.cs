using System.Text;
using Tmds.Linux;

namespace ImageSentinel.Interop;

/// <summary>Who owns a file.</summary>
public static unsafe class FileOwner
{
    /// <summary>Who owns what is at <paramref name="path"/>, links followed, and who may use it.</summary>
    /// <returns>Null when nothing is there, or we may not look.</returns>
    public static FileOwnership? Of(string path)
    {
        byte[] text = Encoding.UTF8.GetBytes(path + '\0');
        stat status;
        fixed (byte* bytes = text)
        {
            return LibC.stat(bytes, &status) == 0
                ? new FileOwnership((uint)status.st_uid, (uint)status.st_gid, (uint)status.st_mode & 0xFFF)
                : null;
        }
    }

    /// <summary>Whose files ours are: geteuid(2).</summary>
    public static uint EffectiveUser => (uint)LibC.geteuid();

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

/// <summary>Owner, group and permission bits (inode(7)) of a file.</summary>
public readonly record struct FileOwnership(uint Uid, uint Gid, uint Mode);
