# Words every part uses: messages, the state file, and processes that are known by pid and start time.

note() { printf 'lab: %s\n' "$*" >&2; }

die() {
    local code=$1
    shift
    printf 'lab: %s\n' "$*" >&2
    exit "$code"
}

need_root() {
    ((EUID == 0)) || die 77 "needs root: sudo $0 …"
}

need_commands() {
    local missing=() command
    for command in "$@"; do
        PATH=$SYSTEM_PATH command -v "$command" >/dev/null || missing+=("$command")
    done
    ((${#missing[@]} == 0)) || die 69 "not installed: ${missing[*]} (./build.sh test installs what the lab needs)"
}

# The distribution's programs, not newer ones that somebody put before them.
SYSTEM_PATH=/usr/sbin:/usr/bin:/sbin:/bin

# A lab that is up is remembered by its folder's name in /run, which a reboot forgets as it forgets the lab.
load_state() {
    LAB_ROOT=''
    [[ -r $STATE/root ]] || return 1
    LAB_ROOT=$(<"$STATE/root")
    [[ -d $LAB_ROOT ]]
}

# A test run reserves the lab: what others do on the engine meanwhile would be in its records. Its own calls carry
# its pid.
respect_reservation() {
    local pid _
    is_alive "$STATE/reserved" || return 0
    read -r pid _ <"$STATE/reserved"
    [[ $pid != "${IMAGESENTINEL_LAB_RUN:-}" ]] || return 0
    note "process $pid is testing here; waiting for its end"
    await 3600 not is_alive "$STATE/reserved" || die 1 "gave up waiting for process $pid"
}

create_root() {
    if [[ -n $1 ]]; then
        mkdir -p "$1"
        LAB_ROOT=$(cd "$1" && pwd)
        [[ -z $(ls -A "$LAB_ROOT") ]] || die 1 "$LAB_ROOT is not empty"
    else
        LAB_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/imagesentinel-lab.XXXXXX")
    fi

    # Users in the engine's group must reach the socket below.
    chmod 0711 "$LAB_ROOT"
    mkdir -p "$LAB_ROOT"/{before,context}
    printf '%s\n' "$LAB_ROOT" >"$STATE/root"
    leak_snapshot "$LAB_ROOT/before"
}

remove_root() {
    rm -rf --one-file-system -- "$LAB_ROOT/context" "$LAB_ROOT"/engine-* "$LAB_ROOT"/registry "$LAB_ROOT"/images \
        "$LAB_ROOT"/outside "$LAB_ROOT"/client "$LAB_ROOT"/store "$LAB_ROOT"/tls "$LAB_ROOT"/ssh
    mv "$LAB_ROOT/before" "$STATE/before"
    rm -rf --one-file-system -- "$LAB_ROOT"
    rm -f "$STATE/root"
}

# Field 22 of /proc/PID/stat, counted after the command's closing parenthesis: a pid alone is soon somebody else's.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    printf '%s\n' "${20}"
}

remember_process() {
    printf '%s %s\n' "$2" "$(start_time "$2")" >"$1"
}

is_alive() {
    local pid started
    [[ -r $1 ]] || return 1
    read -r pid started <"$1" || return 1
    [[ $(start_time "$pid") == "$started" ]]
}

# Asks, waits up to $2 seconds, then insists.
end_process() {
    local file=$1 patience=$2 pid _
    is_alive "$file" || { rm -f "$file"; return 0; }
    read -r pid _ <"$file"
    kill -TERM "$pid" 2>/dev/null || true
    await "$patience" not is_alive "$file" || kill -KILL "$pid" 2>/dev/null || true
    await 10 not is_alive "$file" || note "process $pid does not end"
    rm -f "$file"
}

not() { ! "$@"; }

# await SECONDS COMMAND...: polls until the command succeeds.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# Starts a program with its own session and a clean environment, output to a file, and remembers it.
start_program() {
    local pid_file=$1 log=$2
    shift 2
    (
        # Locks, ours or those of whoever called us, and the caller's terminal are not the program's business.
        exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- </dev/null >>"$log" 2>&1
        exec setsid env -i PATH="${PROGRAM_PATH:-$SYSTEM_PATH}" HOME="$LAB_ROOT" "$@"
    ) &
    remember_process "$pid_file" "$!"
}
