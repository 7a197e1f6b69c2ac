using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Files;
using ImageSentinel.Detection.Images;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Builds;

/// <summary>What changed below an engine's data root goes to whoever knows what such a file means.</summary>
internal sealed class DataRootRouter(
    CoreState state, BuildKitTracker buildKit, ClassicTracker classic, ImageLinker images, StepFileTracker files, ImageTaint taint)
{
    public void On(in EngineFileChanged e)
    {
        if (LayerPath.TryParse(e.Path, out ReadOnlySpan<byte> layer, out ReadOnlySpan<byte> inside))
        {
            files.On(e, layer, inside);
        }

        DataRootEntry entry = DataRootPath.Classify(e.Path, out string id);
        bool written = (e.Change & (FileChange.Modified | FileChange.Written | FileChange.MovedIn)) != 0;
        switch (entry)
        {
            case DataRootEntry.ClassicContext when (e.Change & FileChange.Created) != 0 && (e.Change & FileChange.Deleted) == 0:
                classic.ContextCreated(e.Engine, id, e.At);
                break;
            case DataRootEntry.ClassicContext when (e.Change & FileChange.Deleted) != 0:
                classic.ContextDeleted(e.Engine, id, e.At);
                break;
            case DataRootEntry.ClassicContextFile when written:
                classic.ContextFileWritten(e.Engine, id, e.Path);
                break;
            case DataRootEntry.BundleConfig when (e.Change & FileChange.Modified) != 0 && state.Engines.TryGetValue(e.Engine, out EngineFact? engine):
                state.Output.Ask(new BundleLookup(e.Engine, id, $"{engine.DataRoot}/buildkit/executor/{id}"));
                break;
            case DataRootEntry.ContainerConfig when written:
                state.Output.Ask(new ContainerLookup(e.Engine, id));
                break;
            case DataRootEntry.ImageConfig when !written && (e.Change & FileChange.Deleted) != 0:
                taint.Gone(id, e.At);
                break;
            case DataRootEntry.ImageConfig when written:
                images.ImageFileWritten(e.Engine, id);
                break;
            case DataRootEntry.Repositories when written:
                images.ReferencesChanged(e.Engine);
                break;
            case DataRootEntry.SnapshotFile when written && IsDaemon(e.Engine, e.Pid):
                buildKit.SnapshotFileWritten(e.Engine, e.Path);
                break;
            case DataRootEntry.LoadArchive:
                images.LoadSeen(e.Engine, id, (e.Change & FileChange.Deleted) != 0, e.At);
                break;
            case DataRootEntry.PlatformProbe:
                buildKit.PlatformProbed(e.Engine, e.At);
                break;
        }
    }

    private bool IsDaemon(int engine, int pid)
        => state.Engines.TryGetValue(engine, out EngineFact? fact)
            && (fact.DaemonPid == pid || pid == 0
                // 20.10 unpacks an archive in a helper of its own (docker-untar).
                || state.Tree.Find(pid)?.Scope is EngineScope { Engine: var helper } && helper == engine);
}
