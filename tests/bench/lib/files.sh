# (f) A step that writes 20,000 small files, as a package installation does: wall time with the agent and without, what
# the kernel discarded, and the agent's largest memory.

bench_files() {
    local pairs=${IMAGESENTINEL_BENCH_PAIRS:-9} files=${IMAGESENTINEL_BENCH_FILES:-20000} pair context first order
    need_programs files
    need_lab
    context=$(mktemp -d "$LAB_ROOT/context/bench.XXXXXX")
    undo_later "rm -rf $context"
    printf 'FROM %s\nRUN set -e; i=0; while [ $i -lt %s ]; do d=/srv/$((i / 100)); [ $((i %% 100)) -ne 0 ] || mkdir -p $d; echo $i >$d/$i; i=$((i + 1)); done\n' \
        "$LAB_ALPINE" "$files" >"$context/Dockerfile"
    heading "files: a step that writes many small files" \
        "method: docker build --no-cache (BuildKit, engine $(lab_docker version --format '{{.Server.Version}}')) of one RUN step in which a shell makes $files files of a few" \
        "  bytes in $((files / 100)) directories; $pairs pairs, agent and no agent in turns, first one alternating, after one build that is not counted." \
        "  Ratio: median of the pairs' ratios. Memory: VmHWM of the agent. Discarded: the fanotify sensor's own count."
    lab_docker build --no-cache -q "$context" >/dev/null

    for ((pair = 0; pair < pairs; pair++)); do
        first=$((pair % 2))
        for order in 0 1; do
            if (((order + first) % 2)); then
                start_agent "$LAB_SOCKET"
                await_agent
                sleep 0.5
                timed_build "$context" files-with
                sleep 2
                awk '/^VmHWM/ {print $2 / 1024}' "/proc/$AGENT/status" >>"$WORK/files-memory"
                files_told >>"$WORK/files-told"
                stop_agent
            else
                sleep 0.5
                timed_build "$context" files-without
            fi
        done
    done

    paste "$WORK/build-files-with" "$WORK/build-files-without" | awk '{print $1 / $2}' >"$WORK/files-ratio"
    printf 'seconds without the agent: median %s, 10th to 90th percentile %s to %s\n' "$(median <"$WORK/build-files-without")" \
        "$(percentile 10 <"$WORK/build-files-without")" "$(percentile 90 <"$WORK/build-files-without")"
    printf 'seconds with the agent:    median %s, 10th to 90th percentile %s to %s\n' "$(median <"$WORK/build-files-with")" \
        "$(percentile 10 <"$WORK/build-files-with")" "$(percentile 90 <"$WORK/build-files-with")"
    printf 'ratios of the pairs: %s\n' "$(awk '{printf "%.3f ", $1}' "$WORK/files-ratio")"
    printf 'median ratio: %s\n' "$(calc "$(median <"$WORK/files-ratio")" %.4f)"
    printf 'files counted in the record, events lost, each round: %s\n' "$(tr '\n' ';' <"$WORK/files-told")"
    printf 'largest resident memory of the agent: median %s MiB\n' "$(calc "$(median <"$WORK/files-memory")" %.1f)"
}

# The last word of each build on its files, and of the coverage on what was discarded.
files_told() {
    jq -rn '[inputs] | ([.[].build // empty | .steps[]?.filesWritten // "0" | tonumber] | max // 0) as $files
        | ([.[].build // empty | .coverage.lostEvents // "0" | tonumber] | max // 0) as $lost
        | ([.[].coverage // empty | .sensors[]? | select(.sensor == "fanotify") | (.lostInKernel // "0" | tonumber) + (.dropped // "0" | tonumber)] | max // 0) as $dropped
        | "\($files) \($lost + $dropped)"' "$AGENT_HOME/records.jsonl"
}
