# (c) Wall time of a real docker build, with the agent and without.

bench_build() {
    local pairs=${IMAGESENTINEL_BENCH_PAIRS:-15} steps=${IMAGESENTINEL_BENCH_STEPS:-10} pair context first order
    need_programs build
    need_lab
    context=$(mktemp -d "$LAB_ROOT/context/bench.XXXXXX")
    undo_later "rm -rf $context"
    write_dockerfile "$steps" >"$context/Dockerfile"
    heading "build: wall time of docker build" \
        "method: docker build --no-cache (BuildKit, engine $(lab_docker version --format '{{.Server.Version}}')), $steps RUN steps that each run 200 processes, write and compress" \
        "  8 MiB, and fetch a page from the lab's outside host; $pairs pairs, agent and no agent in turns, first one alternating, after one" \
        "  build that is not counted. With the agent: all sensors, enforcing, no collector. Ratio: median of the pairs' ratios."
    lab_docker build --no-cache -q "$context" >/dev/null

    for ((pair = 0; pair < pairs; pair++)); do
        first=$((pair % 2))
        for order in 0 1; do
            if (((order + first) % 2)); then
                start_agent "$LAB_SOCKET"
                await_agent
                sleep 0.5
                timed_build "$context" with
                stop_agent
            else
                # The same pause: the machine rests as long before each build.
                sleep 0.5
                timed_build "$context" without
            fi
        done
    done

    paste "$WORK/build-with" "$WORK/build-without" | awk '{print $1 / $2}' >"$WORK/build-ratio"
    printf 'seconds without the agent: median %s, 10th to 90th percentile %s to %s\n' "$(median <"$WORK/build-without")" \
        "$(percentile 10 <"$WORK/build-without")" "$(percentile 90 <"$WORK/build-without")"
    printf 'seconds with the agent:    median %s, 10th to 90th percentile %s to %s\n' "$(median <"$WORK/build-with")" \
        "$(percentile 10 <"$WORK/build-with")" "$(percentile 90 <"$WORK/build-with")"
    printf 'ratios of the pairs: %s\n' "$(awk '{printf "%.3f ", $1}' "$WORK/build-ratio")"
    printf 'ratio of the medians: %s, of the fastest: %s\n' "$(calc "$(median <"$WORK/build-with") / $(median <"$WORK/build-without")" %.4f)" \
        "$(calc "$(percentile 0 <"$WORK/build-with") / $(percentile 0 <"$WORK/build-without")" %.4f)"
    goal 'median ratio of the pairs' "$(calc "$(median <"$WORK/build-ratio")" %.4f)" '<=' 1.01 x
}

lab_docker() { "$REPOSITORY/tests/lab/lab" docker "$@"; }

write_dockerfile() {
    local step
    printf 'FROM %s\n' "$LAB_ALPINE"
    for ((step = 1; step <= $1; step++)); do
        printf 'RUN i=0; while [ $i -lt 200 ]; do /bin/busybox true; i=$((i+1)); done; '
        printf 'dd if=/dev/zero bs=65536 count=128 2>/dev/null | gzip >/tmp/%s.gz; wget -q -O /tmp/page http://%s/%s || true\n' \
            "$step" "$LAB_EVIL4" "$step"
    done
}

timed_build() {
    local begin end
    sync
    begin=$(date +%s%N)
    lab_docker build --no-cache -q "$1" >/dev/null
    end=$(date +%s%N)
    calc "($end - $begin) / 1e9" '%.4f\n' >>"$WORK/build-$2"
}
