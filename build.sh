#!/usr/bin/env bash
# ImageSentinel from a checkout.
#
#   ./build.sh run [--docker SOCKET] [--state DIR]   watch this host's Docker builds (root); Ctrl-C stops
#   ./build.sh build                                 publish both programs (NativeAOT) to artifacts/bin
#   ./build.sh demo                                  a recorded attack through the real pipeline: no root, no Docker
#   ./build.sh test [FILTER]                         every test this machine can run
#   ./build.sh bench [NAME]                          the benchmarks, beside their peers
#   ./build.sh package                               .deb packages into artifacts/
#
# As root on Debian and Ubuntu, `test` installs what the real-Docker tests need; IMAGESENTINEL_INSTALL=no forbids it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

BIN=artifacts/bin
# One folder for everything the SDK makes, so that a build never disturbs an editor's.
SDK_OUTPUT=(--artifacts-path artifacts/sdk -v quiet -nologo)
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

say() { printf 'build.sh: %s\n' "$*" >&2; }

die() {
    local code=$1
    shift
    say "$*"
    exit "$code"
}

is_root() { ((EUID == 0)); }

may_install() { is_root && [[ ${IMAGESENTINEL_INSTALL:-yes} != no ]]; }

has_apt() { command -v apt-get >/dev/null; }

# install PACKAGE...: only what is missing and what this distribution has.
install() {
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *' installed' ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    apt-get update -qq || say "the package lists could not be refreshed; trying with what is there"
    local available=()
    for package in "${missing[@]}"; do
        [[ -n $(apt-cache madison "$package" 2>/dev/null) ]] && available+=("$package")
    done
    ((${#available[@]})) || return 0
    say "installing ${available[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${available[@]}" >/dev/null
}

has_sdk() { command -v dotnet >/dev/null && dotnet --list-sdks 2>/dev/null | grep -q '^10\.'; }

need_sdk() {
    has_sdk && return
    if may_install; then
        if has_apt; then
            install dotnet-sdk-10.0
        elif command -v dnf >/dev/null; then
            dnf install -y -q dotnet-sdk-10.0 || true
        fi
    fi
    has_sdk || die 69 "the .NET 10 SDK is missing and this system's packages have none (or this is not root): https://learn.microsoft.com/dotnet/core/install/linux"
}

# NativeAOT links with the system's compiler.
need_linker() {
    command -v clang >/dev/null || command -v gcc >/dev/null && return
    ! { may_install && has_apt; } || install gcc libc6-dev binutils
    command -v gcc >/dev/null || die 69 "publishing needs clang or gcc: apt-get install gcc libc6-dev binutils"
}

# is_stale FILE: older than any source it is made of.
is_stale() {
    [[ ! -e $1 ]] || [[ -n $(find src Directory.Build.props Directory.Packages.props global.json \
        -path '*/obj' -prune -o -path '*/bin' -prune -o -type f -newer "$1" -print -quit) ]]
}

publish() {
    local project=$1 program=$2 staging=artifacts/publish/$2
    is_stale "$BIN/$program" || return 0
    need_sdk
    need_linker
    say "publishing $program"
    rm -rf "$staging"
    dotnet publish "src/$project" -c Release --use-current-runtime "${SDK_OUTPUT[@]}" -o "$staging"
    mkdir -p "$BIN" artifacts/symbols
    find "$staging" -maxdepth 1 \( -name '*.dbg' -o -name '*.pdb' \) -exec mv -f -t artifacts/symbols {} +
    # A program that is running keeps its file; the new one gets the name.
    cp -r --remove-destination "$staging/." "$BIN/"
    touch "$BIN/$program"
}

build() {
    publish ImageSentinel.Agent imagesentinel
    publish ImageSentinel.Collector imagesentinel-collector
}

# --- run -----------------------------------------------------------------------------------------------------------

default_socket() {
    if [[ ${DOCKER_HOST:-} == unix://* ]]; then
        printf '%s\n' "${DOCKER_HOST#unix://}"
    else
        printf '/run/docker.sock\n'
    fi
}

free_port() {
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 10)); done
    printf '%s\n' "$port"
}

# From a checkout nothing has been learned yet, so a first build shows what a finding looks like: enforcing at once.
write_configuration() {
    local state=$1 socket=$2 collector=$3
    cat >"$state/imagesentinel.yaml" <<YAML
state_dir: $state/agent
control_socket: $state/agent.sock
engines:
  - socket: $socket
baseline:
  mode: enforcing
outputs:
  journald: true
  json_lines: $state/records.jsonl
  collector:
    url: $collector
YAML
}

run() {
    local socket state=artifacts/state
    socket=$(default_socket)
    while (($#)); do
        case $1 in
            --docker) socket=${2:?--docker needs a socket}; shift 2 ;;
            --state) state=${2:?--state needs a folder}; shift 2 ;;
            *) die 64 "run: unknown argument $1" ;;
        esac
    done
    is_root || die 77 "watching the kernel needs root: sudo ./build.sh run"
    build

    mkdir -p "$state"
    chmod 0700 "$state"
    state=$(cd "$state" && pwd)
    local grpc web
    grpc=$(free_port 4317)
    web=$(free_port 4318)
    write_configuration "$state" "$socket" "http://127.0.0.1:$grpc"

    COLLECTOR='' AGENT=''
    trap stop_programs EXIT
    trap : INT TERM
    "$BIN/imagesentinel-collector" --listen "http://127.0.0.1:$grpc" --web "http://127.0.0.1:$web" \
        --state "$state/collector" >>"$state/collector.log" 2>&1 &
    COLLECTOR=$!
    say "page      http://127.0.0.1:$web/"
    say "records   $state/records.jsonl"
    say "ask it    $BIN/imagesentinel status --config $state/imagesentinel.yaml"
    "$BIN/imagesentinel" run --config "$state/imagesentinel.yaml" &
    AGENT=$!

    # Whichever ends first, or a signal, ends both; the agent's word is the result.
    wait -n "$AGENT" "$COLLECTOR" || true
    kill -0 "$COLLECTOR" 2>/dev/null || say "the collector ended: $(tail -1 "$state/collector.log")"
    stop_programs
    trap - EXIT
    exit "$RESULT"
}

stop_programs() {
    RESULT=0
    # A second Ctrl-C must not cut the draining short.
    trap '' INT TERM
    if [[ -n $AGENT ]]; then
        kill -TERM "$AGENT" 2>/dev/null || true
        wait "$AGENT" || RESULT=$?
    fi
    if [[ -n $COLLECTOR ]]; then
        kill -TERM "$COLLECTOR" 2>/dev/null || true
        wait "$COLLECTOR" || true
    fi
    AGENT='' COLLECTOR=''
}

# --- test ----------------------------------------------------------------------------------------------------------

PASSED=0 FAILED=0 SKIPPED=0

install_test_packages() {
    may_install && has_apt || return 0
    local packages=(openssl openssh-client docker.io docker-registry docker-buildx busybox-static iproute2 iptables conntrack git gcc libc6-dev
        linux-libc-dev make curl wget jq python3 procps util-linux)
    [[ $(dpkg --print-architecture) != amd64 ]] || packages+=(gcc-multilib)
    install "${packages[@]}"
}

# The test projects are programs: run, shown as they go, and counted from their own summary.
run_tests() {
    local project=$1 filter=$2 log status=0 program arguments=()
    say "testing $project"
    dotnet build "tests/$project" "${SDK_OUTPUT[@]}" || { FAILED=$((FAILED + 1)); say "$project does not build"; return; }
    program=artifacts/sdk/bin/$project/debug/$project
    log=artifacts/test-$project.log
    [[ -z $filter ]] || arguments=(--filter "FullyQualifiedName~$filter" --ignore-exit-code 8)
    "$program" --progress off --ansi off "${arguments[@]}" 2>&1 | tee "$log" || status=$?

    local passed failed skipped
    passed=$(count succeeded "$log")
    failed=$(count failed "$log")
    skipped=$(count skipped "$log")
    # A run that broke off without saying what failed has failed.
    ((status == 0 || failed > 0)) || failed=1
    PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + skipped))
}

count() { sed -n "s/^ *$1: *\([0-9][0-9]*\).*/\1/p" "$2" | tail -1 | grep . || echo 0; }

run_all_tests() {
    local filter=${1:-} project
    mkdir -p artifacts
    install_test_packages
    need_sdk
    ! is_root || build
    export IMAGESENTINEL_BIN=$PWD/$BIN
    for project in tests/ImageSentinel.Tests tests/ImageSentinel.Lab; do
        run_tests "${project#tests/}" "$filter"
    done
    printf '%d passed, %d failed, %d skipped\n' "$PASSED" "$FAILED" "$SKIPPED"
    ((FAILED == 0))
}

# -------------------------------------------------------------------------------------------------------------------

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

command=${1:-help}
(($# == 0)) || shift
case $command in
    run) run "$@" ;;
    build) build ;;
    demo)
        build
        exec "$BIN/imagesentinel" demo "$@"
        ;;
    test) run_all_tests "$@" ;;
    bench)
        build
        exec tests/bench/bench "$@"
        ;;
    package)
        build
        exec packaging/package "$@"
        ;;
    help | --help | -h) usage ;;
    *)
        usage >&2
        exit 64
        ;;
esac
