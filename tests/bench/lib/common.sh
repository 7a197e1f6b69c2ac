# Words every benchmark uses: sizes, folders, the machine's line, medians.

RESULTS=$REPOSITORY/artifacts/bench
TOOLS=$RESULTS/tools
ROUNDS=${IMAGESENTINEL_BENCH_ROUNDS:-5}

note() { printf 'bench: %s\n' "$*" >&2; }

die() {
    local code=$1
    shift
    note "$*"
    exit "$code"
}

is_root() { ((EUID == 0)); }

# Logs and outputs live in memory where there is some: a disk is not what is measured.
make_work() {
    mkdir -p "$RESULTS" "$TOOLS"
    if [[ -w /dev/shm ]]; then
        WORK=$(mktemp -d /dev/shm/imagesentinel-bench.XXXXXX)
    else
        WORK=$(mktemp -d "${TMPDIR:-/tmp}/imagesentinel-bench.XXXXXX")
    fi
}

# Each benchmark runs in a subshell of its own and registers there what it must undo.
UNDO=()

undo_later() { UNDO=("$*" "${UNDO[@]}"); }

undo_now() {
    local step
    for step in "${UNDO[@]}"; do
        eval "$step" || true
    done
    UNDO=()
}

clean_up() {
    undo_now
    rm -rf -- "$WORK"
}

# One C program of this folder; prints its path.
tool() {
    local source=$BENCH_HOME/c/$1.c program=$TOOLS/$1
    shift
    if [[ ! -x $program || $source -nt $program ]]; then
        command -v gcc >/dev/null || return 1
        gcc -O2 -Wall -Wextra -Werror -o "$program" "$source" "$@" || return 1
    fi
    printf '%s\n' "$program"
}

machine() {
    printf 'machine: %s x %s, %s MiB, Linux %s, load %s, %s\n' "$(nproc)" \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" \
        "$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)" "$(uname -r)" "$(cut -d' ' -f1-3 /proc/loadavg)" \
        "$(date -u +%Y-%m-%dT%H:%MZ)"
}

heading() {
    printf '\n== %s\n' "$1"
    shift
    printf '%s\n' "$@"
    machine
}

# percentile P: of the numbers on standard input, one a line (nearest rank).
percentile() {
    sort -g | awk -v p="$1" '{v[NR] = $1} END {if (NR == 0) {print "nan"; exit} i = int(NR * p / 100 + 0.999999); if (i < 1) i = 1; if (i > NR) i = NR; print v[i]}'
}

median() { sort -g | awk '{v[NR] = $1} END {print NR == 0 ? "nan" : NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# calc EXPRESSION [FORMAT]
calc() { awk "BEGIN {printf \"${2:-%.2f}\", $1}"; }

# column FILE N: the N-th number of each line.
column() { awk -v n="$2" '{print $n}' "$1"; }

# goal WORDS VALUE OPERATOR LIMIT UNIT: says whether it is met.
goal() {
    [[ $2 =~ ^-?[0-9.]+(e[-+][0-9]+)?$ ]] || { printf 'goal: %s: not measured\n' "$1"; return; }
    printf 'goal: %s: measured %s%s, wanted %s %s%s: %s\n' "$1" "$2" "$5" "$3" "$4" "$5" \
        "$(awk "BEGIN {if ($2 $3 $4) print \"met\"; else print \"NOT MET\"}")"
}

now_ms() { printf '%s\n' "$(($(date +%s%N) / 1000000))"; }

# await SECONDS COMMAND...
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.02
    done
}

# Clock ticks of user and system time of a process and what it waited for.
cpu_ticks() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || { echo 0; return; }
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    echo $((${12} + ${13} + ${14} + ${15}))
}

status_kib() { awk -v key="$2:" '$1 == key {print $2}' "/proc/$1/status" 2>/dev/null; }
