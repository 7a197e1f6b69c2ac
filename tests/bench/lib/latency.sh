# (d) From a step's connect to the row in the collector.

bench_latency() {
    local connects=${IMAGESENTINEL_BENCH_LATENCY:-200} gap=50 round context paced port from=198.51.100.10
    need_programs latency
    command -v python3 >/dev/null || die 69 "this benchmark needs python3"
    need_lab
    paced=$(tool paced-connect -static) || die 69 "this benchmark needs gcc and a static C library"
    context=$(mktemp -d "$LAB_ROOT/context/bench.XXXXXX")
    undo_later "rm -rf $context"
    cp "$paced" "$context/"
    heading "latency: connect to row in the collector" \
        "method: one build step makes $connects TCP connects, $gap ms apart, each to an address of the lab's outside that nobody reached before;" \
        "  the clock starts just before connect(2) and stops when the destination is in a build or finding of the collector's database" \
        "  (committed, SQLite WAL; read every ms by another process). Agent, collector, engine and reader share this machine." \
        "  $ROUNDS rounds, agent and collector anew in each."
    for ((round = 0; round < ROUNDS; round++)); do
        port=$((20000 + round))
        start_collector
        start_agent "$LAB_SOCKET" "$COLLECTOR_URL"
        await_agent
        printf 'FROM %s\nCOPY paced-connect /paced-connect\nRUN sleep 1; /paced-connect %s %s %s %s\n' \
            "$LAB_ALPINE" "$from" "$port" "$connects" "$gap" >"$context/Dockerfile"
        python3 "$BENCH_HOME/watch-rows.py" "$COLLECTOR_HOME" "$from" "$port" "$connects" "$WORK/rows" "$WORK/done" &
        local watcher=$!
        rm -f "$WORK/done"
        lab_docker build --no-cache "$context" >"$WORK/build.log" 2>&1 || { cat "$WORK/build.log"; die 1 "the build failed"; }
        sleep 3
        : >"$WORK/done"
        wait "$watcher"
        stop_agent
        kill -TERM "$COLLECTOR" && wait "$COLLECTOR" || true
        sed -n 's/.*\bconnect \([0-9.]*\) \([0-9]*\)\r*$/\1 \2/p' "$WORK/build.log" | sort -u >"$WORK/connects"
        # Milliseconds of each; a connect without a row is counted, not forgotten.
        awk 'FILENAME == ARGV[1] {row[$1] = $2; next} $1 in row {print (row[$1] - $2) / 1e6; next} {missing++} END {print missing + 0 >"/dev/stderr"}' \
            "$WORK/rows" "$WORK/connects" >"$WORK/latency-$round" 2>>"$WORK/latency-missing"
        printf '%s %s %s %s\n' "$(percentile 50 <"$WORK/latency-$round")" "$(percentile 90 <"$WORK/latency-$round")" \
            "$(percentile 99 <"$WORK/latency-$round")" "$(percentile 100 <"$WORK/latency-$round")" >>"$WORK/latency"
        printf 'round %s: %s connects, p50 %s ms, p90 %s ms, p99 %s ms, worst %s ms\n' "$((round + 1))" \
            "$(wc -l <"$WORK/latency-$round")" $(tail -1 "$WORK/latency")
    done
    printf 'connects without a row: %s\n' "$(awk '{s += $1} END {print s + 0}' "$WORK/latency-missing")"
    printf 'median of the rounds: p50 %s ms, p90 %s ms, p99 %s ms\n' "$(column "$WORK/latency" 1 | median)" \
        "$(column "$WORK/latency" 2 | median)" "$(column "$WORK/latency" 3 | median)"
    goal 'connect to row, p99 (what the product promises: within a second)' "$(column "$WORK/latency" 3 | median)" '<=' 1000 ' ms'
}
