# (b) Processor time per audited connect in a flood, for a user in passwd and for one who is not.

FLOOD_KEY=imagesentinel-bench

bench_flood() {
    local round readers=(imagesentinel) reader mapped=65534 unmapped=64001
    local udp=${IMAGESENTINEL_BENCH_CONNECTS:-30000} tcp=${IMAGESENTINEL_BENCH_TCP:-8000} rare=${IMAGESENTINEL_BENCH_UNMAPPED:-3000}
    need_programs flood
    FLOOD=$(tool connect-loop) || die 69 "this benchmark needs gcc"
    CLOCK=$(tool cpu-clock)
    # With an engine to watch where there is one; the connects are the host's own.
    FLOOD_SOCKET=$(eval "$("$REPOSITORY/tests/lab/lab" env 2>/dev/null)" && printf '%s\n' "${LAB_SOCKET:-/run/docker.sock}")
    peers_ready
    while getent passwd "$unmapped" >/dev/null; do unmapped=$((unmapped + 1)); done

    AUDITCTL=$(peer auditctl) || AUDITCTL=''
    if [[ -n $AUDITCTL ]] && peer auditd >/dev/null; then
        local owner
        owner=$(audit_status pid)
        if ((owner != 0)) && [[ -e /proc/$owner ]]; then
            note "process $owner is this host's audit daemon: it is left alone, and the peers are not measured"
        else
            readers+=(auditd)
            ! peer laurel >/dev/null || readers+=(auditd+laurel)
        fi
    fi

    heading "flood: processor time per audited connect" \
        "method: one process connects over loopback back to back ($udp UDP, $tcp TCP; auditd for the unknown user: $rare UDP), as uid" \
        "  $mapped (in passwd) and uid $unmapped (not). Reader's user + system time (process clock, children included) until it is quiet again," \
        "  less what it used in the second before. $ROUNDS rounds, readers and users taking turns. auditd $(peer_version auditd | grep . || echo absent): Debian's auditd.conf (ENRICHED)," \
        "  foreground, own log; rule: connect of that uid. laurel $(peer_version laurel | grep . || echo absent): its plugin. ImageSentinel: every sensor, its own host-wide rules," \
        "  so that a socket(2) of the loop is a second event of each connect."
    printf 'host: audit rules of others %s, backlog limit %s\n' "$(host_rules)" "$(audit_status backlog_limit)"

    for ((round = 0; round < ROUNDS; round++)); do
        for reader in none "${readers[@]}"; do
            "reader_$reader"
            flood_once "$reader" udp "$udp" "$mapped" known
            flood_once "$reader" udp "$([[ $reader == auditd* ]] && echo "$rare" || echo "$udp")" "$unmapped" unknown
            flood_once "$reader" tcp "$tcp" "$mapped" tcp
            readers_end
        done
    done
    report_flood "${readers[@]}"
}

host_rules() { [[ -z $AUDITCTL ]] && echo unknown || with_peer_libraries "$AUDITCTL" -l | grep -vc '^No rules' || true; }

audit_status() { [[ -z $AUDITCTL ]] && echo unknown || with_peer_libraries "$AUDITCTL" -s | awk -v key="$1" '$1 == key {print $2}'; }

# Each sets READERS, the pids whose time counts; none when nobody reads.
reader_none() { READERS=() RULED=''; }

reader_imagesentinel() {
    start_agent "$FLOOD_SOCKET"
    await_agent
    READERS=("$AGENT") RULED=''
}

reader_auditd() {
    AUDITD_HOME=$(mktemp -d "$WORK/auditd.XXXXXX")
    mkdir -p "$AUDITD_HOME/plugins"
    sed -e "s#^log_file *=.*#log_file = $AUDITD_HOME/audit.log#" -e 's/^log_group *=.*/log_group = root/' \
        -e 's/^max_log_file *=.*/max_log_file = 1000/' -e 's/^\([a-z_]*_action\) *=.*/\1 = IGNORE/' \
        -e "s#^plugin_dir *=.*#plugin_dir = $AUDITD_HOME/plugins#" \
        "$PEERS/root/etc/audit/auditd.conf" >"$AUDITD_HOME/auditd.conf"
    chmod 0640 "$AUDITD_HOME/auditd.conf"
    if [[ ${1:-} == laurel ]]; then
        laurel_configuration "$AUDITD_HOME/laurel.toml" "$AUDITD_HOME/laurel" audit.log
        printf 'active = yes\ndirection = out\ntype = always\nformat = string\npath = %s\nargs = --config %s\n' \
            "$(peer laurel)" "$AUDITD_HOME/laurel.toml" >"$AUDITD_HOME/plugins/laurel.conf"
        chmod 0640 "$AUDITD_HOME/plugins/laurel.conf"
    fi
    local enabled limit
    enabled=$(audit_status enabled)
    limit=$(audit_status backlog_limit)
    with_peer_libraries "$AUDITCTL" -b 8192 >/dev/null
    undo_later "with_peer_libraries $AUDITCTL -b $limit >/dev/null"
    if ((enabled == 0)); then
        with_peer_libraries "$AUDITCTL" -e 1 >/dev/null
        undo_later "with_peer_libraries $AUDITCTL -e 0 >/dev/null"
    fi
    # Without a function between: the pid is the daemon's own.
    env LD_LIBRARY_PATH="$(peer_libraries)" "$(peer auditd)" -n -c "$AUDITD_HOME" -s nochange >"$AUDITD_HOME/printed" 2>&1 &
    READERS=("$!")
    undo_later "kill -TERM $! 2>/dev/null; wait $! 2>/dev/null"
    await 10 auditd_reads "$!" || { cat "$AUDITD_HOME/printed"; die 1 "auditd does not get the role"; }
    sleep 0.5
    [[ ${1:-} != laurel ]] || READERS+=("$(pgrep -P "${READERS[0]}" | head -1)")
    RULED=yes
}

auditd_reads() { [[ $(audit_status pid) == "$1" ]]; }

reader_auditd+laurel() { reader_auditd laurel; }

readers_end() { undo_now; }

# Waits until the readers use next to nothing, at most a minute.
await_quiet() {
    local before after i
    before=$("$CLOCK" "${READERS[@]}")
    for ((i = 0; i < 120; i++)); do
        sleep 0.5
        after=$("$CLOCK" "${READERS[@]}")
        ((after - before > 4000000 + 5 * IDLE / 10)) || return 0
        before=$after
    done
}

flood_once() {
    local reader=$1 protocol=$2 count=$3 uid=$4 name=$5 before begin end says rule=(-F arch=b64 -S connect -F "uid=$4" -k "$FLOOD_KEY")
    IDLE=0
    if [[ -n $RULED ]]; then
        with_peer_libraries "$AUDITCTL" -a always,exit "${rule[@]}" >/dev/null
        undo_later "with_peer_libraries $AUDITCTL -d always,exit ${rule[*]} >/dev/null 2>&1"
    fi
    if ((${#READERS[@]})); then
        before=$("$CLOCK" "${READERS[@]}")
        sleep 1
        IDLE=$(($("$CLOCK" "${READERS[@]}") - before)) # in a second
        before=$("$CLOCK" "${READERS[@]}")
    fi
    begin=$(now_ms)
    says=$("$FLOOD" "$protocol" "$count" "$uid")
    if ((${#READERS[@]})); then
        await_quiet
        end=$(now_ms)
        calc "($("$CLOCK" "${READERS[@]}") - $before - $IDLE * ($end - $begin) / 1000) / $count / 1000" '%.3f\n' >>"$WORK/flood-$reader-$name-cpu"
    fi
    printf '%s\n' "$says" >>"$WORK/flood-$reader-$name-connect"
    if [[ -n $RULED ]]; then
        with_peer_libraries "$AUDITCTL" -d always,exit "${rule[@]}" >/dev/null
        # What the reader did not write down it did not pay for either.
        grep -c "type=SYSCALL .* uid=$uid " "$AUDITD_HOME/audit.log" >"$WORK/seen" || true
        printf '%s %s\n' "$(<"$WORK/seen")" "$count" >>"$WORK/flood-$reader-$name-seen"
        : >"$AUDITD_HOME/audit.log"
    elif [[ $reader == imagesentinel ]]; then
        "$BIN/imagesentinel" status --json --config "$AGENT_HOME/imagesentinel.yaml" >"$WORK/flood-status-$name" 2>/dev/null || true
        status_kib "$AGENT" VmHWM >>"$WORK/flood-hwm"
    fi
}

report_flood() {
    local reader name file ours
    printf '%-16s %-9s %16s %16s %14s %14s %14s\n' reader user 'CPU us/connect' 'loop us/connect' 'connect p50' 'connect p99' 'worst ms'
    for reader in none "$@"; do
        for name in known unknown tcp; do
            file=$WORK/flood-$reader-$name
            printf '%-16s %-9s %16s %16s %14s %14s %14s\n' "$reader" "$name" \
                "$([[ -s $file-cpu ]] && median <"$file-cpu" || echo -)" "$(us "$file-connect" 1)" "$(us "$file-connect" 3)" \
                "$(us "$file-connect" 4)" "$(calc "$(column "$file-connect" 5 | median) / 1e6")"
        done
    done
    for reader in auditd auditd+laurel; do
        [[ ! -s $WORK/flood-$reader-known-cpu ]] || printf '%s wrote down %s of %s connects (known user, last round)\n' "$reader" \
            $(tail -1 "$WORK/flood-$reader-known-seen")
    done
    printf 'ImageSentinel after the last flood: %s\n' "$(tr -d '\n' <"$WORK/flood-status-tcp" | cut -c1-1500)"
    printf 'ImageSentinel VmHWM in the floods: %s MiB\n' "$(calc "$(median <"$WORK/flood-hwm") / 1024" %.1f)"
    ours=$(median <"$WORK/flood-imagesentinel-known-cpu")
    goal 'CPU per audited connect' "$ours" '<=' 10 ' us'
    goal 'unknown user against known' "$(calc "$(median <"$WORK/flood-imagesentinel-unknown-cpu") / $ours")" '<=' 1.05 x
    for reader in auditd auditd+laurel; do
        [[ ! -s $WORK/flood-$reader-known-cpu ]] || printf 'ratio: ImageSentinel / %s: %s (known user), %s (unknown user)\n' "$reader" \
            "$(calc "$ours / $(median <"$WORK/flood-$reader-known-cpu")" %.3f)" \
            "$(calc "$(median <"$WORK/flood-imagesentinel-unknown-cpu") / $(median <"$WORK/flood-$reader-unknown-cpu")" %.3f)"
    done
}

us() { calc "$(column "$1" "$2" | median) / 1000" %.1f; }
