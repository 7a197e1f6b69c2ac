# Our own programs: the benchmark's, the agent and the collector, each with a folder of its own.

BIN=${IMAGESENTINEL_BIN:-$REPOSITORY/artifacts/bin}

# Published once for newer sources; prints its path. IMAGESENTINEL_BENCH_PROGRAM names another.
bench_program() {
    local program=$TOOLS/publish/ImageSentinel.Bench
    if [[ -n ${IMAGESENTINEL_BENCH_PROGRAM:-} ]]; then
        printf '%s\n' "$IMAGESENTINEL_BENCH_PROGRAM"
        return
    fi
    if [[ ! -x $program || -n $(find "$REPOSITORY/src" "$REPOSITORY/tests/ImageSentinel.Bench" -name '*.cs*' -newer "$program" -print -quit) ]]; then
        note "publishing the benchmark"
        dotnet publish "$REPOSITORY/tests/ImageSentinel.Bench" -c Release --use-current-runtime \
            --artifacts-path "$REPOSITORY/artifacts/sdk" -v quiet -nologo -o "$TOOLS/publish" >&2 || die 1 "the benchmark does not build"
    fi
    printf '%s\n' "$program"
}

need_programs() {
    is_root || die 77 "$1 needs root"
    [[ -x $BIN/imagesentinel && -x $BIN/imagesentinel-collector ]] || die 69 "no programs in $BIN: ./build.sh build makes them"
}

# The lab's engine, for us alone until we end; brought up when it is down, and then taken down again.
need_lab() {
    local lab=$REPOSITORY/tests/lab/lab
    "$lab" reserve "$$" >&2
    export IMAGESENTINEL_LAB_RUN=$$
    if ! "$lab" env >/dev/null 2>&1; then
        undo_later "$lab down >/dev/null 2>&1"
        "$lab" up >&2 || die 1 "the lab does not come up"
    fi
    eval "$("$lab" env)"
}

free_port() {
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 10)); done
    printf '%s\n' "$port"
}

# start_agent SOCKET [COLLECTOR_URL]: sets AGENT, AGENT_HOME and AGENT_STARTED (nanoseconds); does not wait.
start_agent() {
    local socket=$1 collector=${2:-}
    AGENT_HOME=$(mktemp -d "$WORK/agent.XXXXXX")
    cat >"$AGENT_HOME/imagesentinel.yaml" <<YAML
state_dir: $AGENT_HOME/state
control_socket: $AGENT_HOME/agent.sock
engines:
  - socket: $socket
policy:
  trusted_clients: [{uid: 0}]
  new_image_threshold: 100000
baseline:
  mode: enforcing
outputs:
  journald: false
  json_lines: $AGENT_HOME/records.jsonl
  collector:
    url: "$collector"
YAML
    AGENT_STARTED=$(date +%s%N)
    "$BIN/imagesentinel" run --config "$AGENT_HOME/imagesentinel.yaml" >"$AGENT_HOME/printed" 2>&1 &
    AGENT=$!
    undo_later "kill -TERM $AGENT 2>/dev/null; wait $AGENT 2>/dev/null"
}

agent_ready() { grep -q '"coverage"' "$AGENT_HOME/records.jsonl" 2>/dev/null; }

# The first object an agent writes is its coverage, when every sensor reads.
await_agent() {
    await 60 agent_ready && return
    cat "$AGENT_HOME/printed" >&2
    die 1 "the agent did not get ready"
}

stop_agent() {
    kill -TERM "$AGENT" 2>/dev/null || true
    wait "$AGENT" 2>/dev/null || true
}

# start_collector: sets COLLECTOR, COLLECTOR_URL and COLLECTOR_WEB.
start_collector() {
    COLLECTOR_HOME=$(mktemp -d "$WORK/collector.XXXXXX")
    COLLECTOR_URL=http://127.0.0.1:$(free_port 14317)
    COLLECTOR_WEB=http://127.0.0.1:$(free_port 14318)
    "$BIN/imagesentinel-collector" --listen "$COLLECTOR_URL" --web "$COLLECTOR_WEB" --state "$COLLECTOR_HOME" >"$COLLECTOR_HOME.log" 2>&1 &
    COLLECTOR=$!
    undo_later "kill -TERM $COLLECTOR 2>/dev/null; wait $COLLECTOR 2>/dev/null"
    await 30 curl -fsS -o /dev/null -m 2 "$COLLECTOR_WEB/readyz" 2>/dev/null || die 1 "the collector did not get ready: $(tail -3 "$COLLECTOR_HOME.log")"
}
