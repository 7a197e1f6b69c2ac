# (e) Memory idle and in a flood, program size, start to ready and to the first judged event.

bench_footprint() {
    local round context paced flood
    need_programs footprint
    need_lab
    paced=$(tool paced-connect -static) || die 69 "this benchmark needs gcc and a static C library"
    context=$(mktemp -d "$LAB_ROOT/context/bench.XXXXXX")
    undo_later "rm -rf $context"
    cp "$paced" "$context/"
    flood=$context/flood
    mkdir "$flood"
    # Four ports: address translation has 64,000 sources for one, and looks long for the last of them.
    printf 'FROM %s\nRUN for port in 4441 4442 4443 4444; do connect-flood %s $port 25000; done\n' "$LAB_ALPINE" "$LAB_EVIL4" >"$flood/Dockerfile"
    printf 'FROM %s\nCOPY paced-connect /paced-connect\nRUN sleep 0.2; /paced-connect %s 20000 230 10\n' "$LAB_ALPINE" 198.51.100.10 >"$context/Dockerfile"
    heading "footprint: memory, size, start" \
        "method: agent with all sensors on the lab's engine, no collector; RSS (VmRSS, all pages, shared ones too) 10 s after ready, then at its" \
        "  highest (VmHWM) while a build step makes 4 times 25,000 connects back to back. Start: from before exec of the agent to its coverage" \
        "  object (every sensor proven by its self-test), and to the first finding, while a build step that began before connects every" \
        "  10 ms to a destination that nobody reached before (so the figure may be 10 ms too large). File polled every ms. $ROUNDS rounds."
    printf 'size: imagesentinel %s MiB, imagesentinel-collector %s MiB, libe_sqlite3 %s MiB\n' "$(mib imagesentinel)" \
        "$(mib imagesentinel-collector)" "$(mib libe_sqlite3.so)"

    for ((round = 0; round < ROUNDS; round++)); do
        start_agent "$LAB_SOCKET"
        await_agent
        sleep 10
        status_kib "$AGENT" VmRSS >>"$WORK/idle"
        status_kib "$AGENT" RssAnon >>"$WORK/idle-own"
        lab_docker build --no-cache -q "$flood" >/dev/null
        status_kib "$AGENT" VmHWM >>"$WORK/high"
        sleep 10
        status_kib "$AGENT" VmRSS >>"$WORK/after"
        status_kib "$AGENT" RssAnon >>"$WORK/after-own"
        stop_agent
    done
    printf 'RSS: idle %s MiB (own pages %s), highest in the flood %s MiB, 10 s after it %s MiB (own pages %s)\n' "$(mib_of idle)" \
        "$(mib_of idle-own)" "$(mib_of high)" "$(mib_of after)" "$(mib_of after-own)"

    for ((round = 0; round < ROUNDS; round++)); do
        first_judged "$context"
    done
    printf 'start to ready: median %s ms, %s to %s ms\n' "$(median <"$WORK/ready")" "$(percentile 0 <"$WORK/ready")" "$(percentile 100 <"$WORK/ready")"
    printf 'start to first finding: median %s ms, %s to %s ms\n' "$(median <"$WORK/first")" "$(percentile 0 <"$WORK/first")" \
        "$(percentile 100 <"$WORK/first")"
    goal 'RSS idle' "$(mib_of idle)" '<=' 40 ' MiB'
    goal 'RSS in the flood' "$(mib_of high)" '<=' 64 ' MiB'
    goal 'start to first judged event' "$(median <"$WORK/first")" '<=' 50 ' ms'
}

mib() { calc "$(stat -c %s "$BIN/$1") / 1048576" %.1f; }

mib_of() { calc "$(median <"$WORK/$1") / 1024" %.1f; }

first_judged() {
    local build
    lab_docker build --no-cache -q "$1" >/dev/null 2>&1 &
    build=$!
    await 30 step_connects || die 1 "the step does not begin"
    start_agent "$LAB_SOCKET"
    python3 - "$AGENT_HOME/records.jsonl" "$AGENT_STARTED" "$WORK/ready" "$WORK/first" <<'PY'
import os, sys, time

path, started, ready, first = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
marks = [(b'{"coverage"', ready), (b'never-seen-egress', first)]
deadline = time.time() + 20
while marks and time.time() < deadline:
    text = open(path, 'rb').read() if os.path.exists(path) else b''
    when = (time.time_ns() - started) / 1e6
    for mark in [m for m in marks if m[0] in text]:
        with open(mark[1], 'a', encoding='ascii') as file:
            file.write(f'{when:.1f}\n')
        marks.remove(mark)
    time.sleep(0.001)
for mark, _ in marks:
    print(f'bench: no {mark.decode()} within 20 s', file=sys.stderr)
PY
    wait "$build" || true
    stop_agent
}

step_connects() { pgrep -f '^/paced-connect 198.51.100.10 20000 230 10$' >/dev/null; }
