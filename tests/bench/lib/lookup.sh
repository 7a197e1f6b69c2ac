# The baseline's own cost.

bench_lookup() {
    local bench count round file
    bench=$(bench_program)
    heading "lookup: is this destination known?" \
        "method: the agent's table filled with random public IPv4 destinations; 2 M questions in random order over 65,536 of them, for" \
        "  known and for new destinations; median of 7 passes inside, and of $ROUNDS rounds. A wrong answer would be a missed attack."
    for ((round = 0; round < ROUNDS; round++)); do
        for count in 1000 100000 1000000; do
            "$bench" lookup "$count" >>"$WORK/lookup-$count"
        done
    done
    printf '%-14s %10s %10s %10s %14s %10s %8s\n' destinations 'known ns' 'new ns' 'add ns' 'bytes each' 'heap MiB' wrong
    for count in 1000 100000 1000000; do
        file=$WORK/lookup-$count
        printf '%-14s %10s %10s %10s %14s %10s %8s\n' "$count" "$(value known_ns "$file")" "$(value new_ns "$file")" \
            "$(value add_ns "$file")" "$(value bytes_each "$file")" "$(value heap_mib "$file")" "$(value wrong "$file")"
    done
    goal 'memory of 1 M destinations' "$(value heap_mib "$WORK/lookup-1000000")" '<=' 64 ' MiB'
    goal 'a known one among 100,000' "$(value known_ns "$WORK/lookup-100000")" '<=' 100 ' ns'
}

# value NAME FILE: median of NAME=… over the file's lines.
value() { sed -n "s/.*\\b$1=\\([0-9.]*\\).*/\\1/p" "$2" | median; }
