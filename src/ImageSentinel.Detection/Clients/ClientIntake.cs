using System.Text;
using ImageSentinel.Detection.Builders;
using ImageSentinel.Detection.Builds;
using ImageSentinel.Detection.Events;
using ImageSentinel.Detection.Model;
using ImageSentinel.Detection.Processes;

namespace ImageSentinel.Detection.Clients;

/// <summary>Takes in who connects to an engine's socket, and the Dockerfile that such a client is about to send.</summary>
internal sealed class ClientIntake(
    CoreState state, BuildRegistry builds, BuildKitTracker buildKit, ClassicTracker classic, DaemonlessTracker daemonless)
{
    public void On(in EngineConnected e)
    {
        if (state.EngineOfSocket(e.SocketInode) is not { } engine)
        {
            return;
        }

        ProcessNode node = state.Tree.Resolve(e.Caller, e.At, e.CallWall);
        if (node.Key.Pid == engine.DaemonPid || state.IsOurs(node))
        {
            return;
        }

        if (node.Arguments.IsEmpty)
        {
            state.Output.Ask(new ProcessLookup(node.Key.Pid));
        }

        ClientSession session = state.Clients.Connect(engine.Index, node, e.At);
        if (session is { Connections: 1, Command.Intent: ClientIntent.Build })
        {
            AskForDockerfile(session);
        }
    }

    // A connection older than the agent: its connect call was not seen, its holder is.
    public void Learn(EnginePeerFact peer, Stamp at)
    {
        if (state.Tree.Find(peer.Pid) is not { Scope: not EngineScope } node
            || state.IsOurs(node)
            || node.Exe.EndsWith("/containerd"u8))
        {
            return;
        }

        ClientSession session = state.Clients.Connect(peer.Engine, node, at);
        if (session is { Connections: 1, Command.Intent: ClientIntent.Build })
        {
            AskForDockerfile(session);
        }
    }

    /// <summary>A client that was met without its arguments is known now.</summary>
    public void Learn(ProcessFact fact)
    {
        if (state.Clients.FindByPid(fact.Pid) is { } session)
        {
            ClientTracker.Refresh(session);
            if (session is { Command.Intent: ClientIntent.Build, Dockerfile: null })
            {
                AskForDockerfile(session);
            }
        }
    }

    public void Learn(DockerfileFact fact, Stamp at)
    {
        if (Dockerfile.TryParse(fact.Origin, fact.Text) is not { } dockerfile)
        {
            return;
        }

        if (fact.ClientPid > 0)
        {
            if (!daemonless.Learn(dockerfile, fact.ClientPid, at) && state.Clients.FindByPid(fact.ClientPid) is { } session)
            {
                session.Dockerfile = dockerfile;
                foreach (Build build in builds.Active)
                {
                    builds.ChooseClients(build, at);
                }
            }

            return;
        }

        DataRootEntry entry = DataRootPath.Classify(Encoding.UTF8.GetBytes(fact.Origin), out string id);
        if (entry == DataRootEntry.ClassicContextFile)
        {
            classic.Learn(dockerfile, fact.Engine, id, at);
        }
        else if (entry == DataRootEntry.SnapshotFile)
        {
            buildKit.Learn(dockerfile, fact.Engine, at);
        }
    }

    private void AskForDockerfile(ClientSession session)
    {
        ClientCommand command = session.Command;
        string context = command.Context;
        bool local = context.Length > 0 && context != "-" && !context.Contains("://", StringComparison.Ordinal)
            && !context.StartsWith("git@", StringComparison.Ordinal) && command.File != "-";
        if (local && session.Process is { } process)
        {
            string file = command.File.Length > 0 ? command.File : context.TrimEnd('/') + "/Dockerfile";
            state.Output.Ask(new ClientDockerfileLookup(session.Engine, process.Key.Pid, file));
        }
    }
}
