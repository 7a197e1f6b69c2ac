using System.Runtime.InteropServices;

namespace ImageSentinel.Agent.Lifetime;

/// <summary>One signal handled by us and not by the runtime. Handlers of one signal never overlap.</summary>
internal sealed class Signal : IDisposable
{
    private readonly Lock _gate = new();
    private readonly PosixSignalRegistration _registration;

    public Signal(PosixSignal signal, Action handle)
    {
        _registration = PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            lock (_gate)
            {
                handle();
            }
        });
    }

    public void Dispose() => _registration.Dispose();
}
