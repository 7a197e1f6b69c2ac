namespace ImageSentinel.Detection.Files;

/// <summary>Ways in which a file makes a program run again without anybody asking for it.</summary>
public enum PersistenceKind
{
    None = 0,
    Cron = 1,
    AuthorizedKeys = 2,
    Preload = 3,
    Profile = 4,
    Service = 5,
}

/// <summary>Recognises places that run or let in whatever is written there.</summary>
/// <remarks>cron(8), sshd(8) AUTHORIZED_KEYS, ld.so(8) FILES, bash(1) FILES, systemd.unit(5) UNIT FILE LOAD PATH.</remarks>
public static class Persistence
{
    /// <param name="path">As the step sees it, without the leading slash.</param>
    public static PersistenceKind Of(ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> name = path[(path.LastIndexOf((byte)'/') + 1)..];
        if (path.SequenceEqual("etc/ld.so.preload"u8))
        {
            return PersistenceKind.Preload;
        }

        if (name.StartsWith("authorized_keys"u8) && path[..^name.Length].EndsWith("/.ssh/"u8))
        {
            return PersistenceKind.AuthorizedKeys;
        }

        if (path.StartsWith("var/spool/cron/"u8) || path.StartsWith("var/spool/at/"u8) || path.SequenceEqual("etc/anacrontab"u8)
            || path.StartsWith("etc/cron"u8))
        {
            return name.SequenceEqual(".placeholder"u8) ? PersistenceKind.None : PersistenceKind.Cron;
        }

        if (IsService(path, name))
        {
            return PersistenceKind.Service;
        }

        return IsProfile(path, name) ? PersistenceKind.Profile : PersistenceKind.None;
    }

    public static string Word(PersistenceKind kind) => kind switch
    {
        PersistenceKind.Cron => "a cron table",
        PersistenceKind.AuthorizedKeys => "a list of authorized SSH keys",
        PersistenceKind.Preload => "ld.so.preload, loaded into every program",
        PersistenceKind.Profile => "a shell profile",
        PersistenceKind.Service => "a service unit",
        _ => "",
    };

    private static bool IsService(ReadOnlySpan<byte> path, ReadOnlySpan<byte> name)
        => path.StartsWith("etc/init.d/"u8)
        || path.SequenceEqual("etc/rc.local"u8)
        || path.SequenceEqual("etc/inittab"u8)
        || path.StartsWith("etc/systemd/"u8) && IsUnit(path, name)
        || path.StartsWith("lib/systemd/system/"u8)
        || path.StartsWith("usr/lib/systemd/"u8) && IsUnit(path, name)
        || path.Contains("/.config/systemd/user/"u8);

    private static bool Contains(this ReadOnlySpan<byte> path, ReadOnlySpan<byte> part) => path.IndexOf(part) >= 0;

    private static bool IsUnit(ReadOnlySpan<byte> path, ReadOnlySpan<byte> name)
        => path.Contains("/system/"u8) || path.Contains("/user/"u8)
        || name.EndsWith(".service"u8) || name.EndsWith(".timer"u8);

    private static bool IsProfile(ReadOnlySpan<byte> path, ReadOnlySpan<byte> name)
    {
        if (path.SequenceEqual("etc/profile"u8) || path.StartsWith("etc/profile.d/"u8)
            || path.SequenceEqual("etc/bash.bashrc"u8) || path.StartsWith("etc/zsh/"u8))
        {
            return true;
        }

        return (path.StartsWith("root/"u8) || path.StartsWith("home/"u8))
            && (name.SequenceEqual(".bashrc"u8) || name.SequenceEqual(".profile"u8) || name.SequenceEqual(".bash_profile"u8)
                || name.SequenceEqual(".bash_login"u8) || name.SequenceEqual(".zshrc"u8) || name.SequenceEqual(".zprofile"u8));
    }
}
