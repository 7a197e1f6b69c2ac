# (a) Audit text to grouped events with fields and addresses decoded.

bench_parse() {
    local records=${IMAGESENTINEL_BENCH_RECORDS:-1200000} samples=$REPOSITORY/tests/corpus/kernel/audit/samples.log
    local bench walk measure ausearch laurel round cut
    bench=$(bench_program)
    measure=$(tool measure) || die 69 "this benchmark needs gcc"
    peers_ready
    walk=$(auparse_walk) || walk=''
    ausearch=$(peer ausearch) || ausearch=''
    laurel=$(peer laurel) || laurel=''
    cut=$((records / 12))

    heading "parse: audit text to events" \
        "method: real records (tests/corpus/kernel/audit/samples.log) resampled to 45 % connect, 30 % exec, 15 % failed exec, 10 % accept," \
        "  fresh serials, times and pids; sparse = 50 events/s, dense = 5,000 events/s, stream = dense with end records (as the kernel sends)." \
        "  Each tool reads the file from memory, one process, one core; user + system time of the whole process, start included (wait4);" \
        "  $ROUNDS rounds, tools taking turns. libauparse: every field of every record (text), and interpreted (meaning), log format." \
        "  laurel: Debian's configuration, stream format, output to /dev/null. ausearch on $cut records: it is far slower on a dense log." \
        "versions: libauparse and ausearch $(peer_version libauparse0 | grep . || echo absent), laurel $(peer_version laurel | grep . || echo absent)"
    printf 'sparse: %s\n' "$("$bench" generate "$samples" "$WORK/sparse" --records "$records" --rate 50 --ends no)"
    printf 'dense:  %s\n' "$("$bench" generate "$samples" "$WORK/dense" --records "$records" --rate 5000 --ends no)"
    printf 'stream: %s\n' "$("$bench" generate "$samples" "$WORK/stream" --records "$records" --rate 5000 --ends yes)"
    "$bench" generate "$samples" "$WORK/cut-sparse" --records "$cut" --rate 50 --ends no >/dev/null
    "$bench" generate "$samples" "$WORK/cut-dense" --records "$cut" --rate 5000 --ends no >/dev/null

    local lines kinds=(sparse dense stream) kind
    lines=$(wc -l <"$WORK/stream")
    for ((round = 0; round < ROUNDS; round++)); do
        for kind in "${kinds[@]}"; do
            "$measure" "$WORK/ours-$kind" "$bench" parse "$WORK/$kind" >"$WORK/ours-$kind.says"
        done
        if [[ -n $walk ]]; then
            for kind in sparse dense; do
                with_peer_libraries "$measure" "$WORK/walk-$kind" "$walk" "$WORK/$kind" text >"$WORK/walk.says"
            done
            with_peer_libraries "$measure" "$WORK/meaning" "$walk" "$WORK/sparse" meaning >/dev/null
        fi
        if [[ -n $laurel ]]; then
            # Its state file would make the next run begin with the last one's processes.
            rm -rf "$WORK/laurel"
            laurel_configuration "$WORK/laurel.toml" "$WORK/laurel" -
            "$measure" "$WORK/laurel-cpu" "$laurel" -c "$WORK/laurel.toml" <"$WORK/stream" >/dev/null 2>&1 || true
        fi
        if [[ -n $ausearch ]]; then
            for kind in sparse dense; do
                with_peer_libraries "$measure" "$WORK/ausearch-$kind" "$ausearch" -if "$WORK/cut-$kind" -k no-such-key --raw >/dev/null 2>&1 || true
            done
        fi
        "$measure" "$WORK/floor" wc -l "$WORK/sparse" >/dev/null
    done

    printf '%-44s %12s %10s %9s %9s\n' tool records/s us/record MB/s 'RSS MiB'
    report_rate 'wc -l (read floor)' floor "$records" sparse
    for kind in "${kinds[@]}"; do
        report_rate "ImageSentinel, $kind" "ours-$kind" "$([[ $kind == stream ]] && echo "$lines" || echo "$records")" "$kind"
    done
    report_rate 'libauparse, every field, sparse' walk-sparse "$records" sparse
    report_rate 'libauparse, every field, dense' walk-dense "$records" dense
    report_rate 'libauparse, every field interpreted, sparse' meaning "$records" sparse
    report_rate 'ausearch -k --raw, sparse' ausearch-sparse "$cut" cut-sparse
    report_rate 'ausearch -k --raw, dense' ausearch-dense "$cut" cut-dense
    report_rate 'laurel, stream to /dev/null' laurel-cpu "$lines" stream

    printf 'ImageSentinel says: %s\n' "$(<"$WORK/ours-stream.says")"
    [[ ! -s $WORK/walk.says ]] || printf 'libauparse says:    %s\n' "$(<"$WORK/walk.says")"
    local ours
    ours=$(per_record ours-sparse "$records")
    [[ ! -s $WORK/walk-sparse ]] || goal 'times libauparse, sparse' "$(calc "$(per_record walk-sparse "$records") / $ours")" '>=' 3 x
    [[ ! -s $WORK/walk-dense ]] || goal 'times libauparse, dense' "$(calc "$(per_record walk-dense "$records") / $(per_record ours-dense "$records")")" '>=' 3 x
    [[ ! -s $WORK/laurel-cpu ]] || goal 'times laurel, same stream' "$(calc "$(per_record laurel-cpu "$lines") / $(per_record ours-stream "$lines")")" '>=' 20 x
    goal 'dense against sparse' "$(calc "$(per_record ours-dense "$records") / $ours")" '<=' 1.10 x
    goal 'bytes allocated after warm-up' "$(sed -n 's/.*allocated_after_warm_up=\([0-9]*\).*/\1/p' "$WORK/ours-stream.says")" '<=' 0 ' B'
}

# Median processor seconds of a tool.
cpu_of() { awk '{print $2 + $3}' "$WORK/$1" | median; }

per_record() { calc "$(cpu_of "$1") / $2" %.12f; }

report_rate() {
    local name=$1 file=$2 records=$3 log=$4 seconds
    if [[ ! -s $WORK/$file ]]; then
        printf '%-44s %12s\n' "$name" absent
        return
    fi
    seconds=$(cpu_of "$file")
    printf '%-44s %12s %10s %9s %9s\n' "$name" "$(calc "$records / $seconds" %.0f)" "$(calc "$seconds * 1e6 / $records" %.3f)" \
        "$(calc "$(wc -c <"$WORK/$log") / $seconds / 1e6" %.0f)" "$(calc "$(column "$WORK/$file" 4 | median) / 1024" %.1f)"
}
