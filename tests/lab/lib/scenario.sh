# Running one scenario: a file of shell in scenarios/, its first comment says what it shows.
#
# A scenario uses: build (Dockerfile on standard input, further `docker build` options as arguments), docker (the
# engine's client), and the variables TO, TO6 (where to go), SILENT (where nobody answers), ALPINE, DEBIAN (base
# images), TAG. It succeeds when what it describes happened; what it means for ImageSentinel is the tests' business.

list_scenarios() {
    local file
    for file in "$LAB_HOME"/scenarios/*; do
        printf '%-22s %s\n' "${file##*/}" "$(sed -n '1s/^# *//p' "$file")"
    done
}

print_env() {
    local engine=$1 name
    ENGINE=$engine
    SOCKET=$(engine_socket "$engine")
    DOCKER=$(PATH=$(engine_path "$engine") type -P docker)
    REGISTRY=127.0.0.1:$(registry_port)
    OUTSIDE_LOG=$LAB_ROOT/outside/log.jsonl
    ALPINE=$(base_image alpine:3)
    DEBIAN=$(base_image debian:12)
    BRIDGE=$(engine_bridge "$engine")
    SUBNET=10.77.$(<"$(engine_directory "$engine")/octet").0/24
    SUBNET6=$(engine_subnet6 "$engine")::/64
    DATA_ROOT=$(engine_directory "$engine")/data
    API=''
    [[ ! -e $(engine_directory "$engine")/tcp ]] || API=$(engine_api "$engine")
    API_TLS=''
    [[ $(cat "$(engine_directory "$engine")/tcp" 2>/dev/null) != tls ]] || API_TLS=$LAB_ROOT/engine-tls
    for name in ROOT ENGINE SOCKET DOCKER DATA_ROOT REGISTRY ALPINE DEBIAN OUTSIDE_LOG BRIDGE SUBNET SUBNET6 API API_TLS \
        NAMESPACE LINK DNS4 DNS6 EVIL4 EVIL6 SILENT4 SILENT6; do
        if [[ $name == ROOT ]]; then
            printf 'LAB_ROOT=%q\n' "$LAB_ROOT"
        else
            printf 'LAB_%s=%q\n' "$name" "${!name}"
        fi
    done
}

run_scenario() {
    local name=${1:-} file engine=system builder=buildkit
    (($# == 0)) || shift
    file=$LAB_HOME/scenarios/$name
    [[ -n $name && -f $file ]] || die 64 "no such scenario: ${name:-?} (lab list)"
    TO=$EVIL4 TO6=$EVIL6 SILENT=$SILENT4 TAG=lab/$name:$$
    while (($#)); do
        case $1 in
            --engine) engine=$(engine_name "$2") ;;
            --builder) builder=$2 ;;
            --to) TO=$2 ;;
            --to6) TO6=$2 ;;
            --silent) SILENT=$2 ;;
            --tag) TAG=$2 ;;
            *) die 64 "attack: unknown argument $1" ;;
        esac
        shift 2
    done
    case $builder in
        buildkit) BUILDKIT=1 ;;
        classic) BUILDKIT=0 ;;
        *) die 64 "unknown builder $builder (buildkit, classic)" ;;
    esac

    need_root
    load_state || die 1 "no lab is up; start it with: $0 up"
    print_env "$engine" >/dev/null
    SCENARIO_ENGINE=$engine
    SCENARIO_MARK=$(wc -c <"$OUTSIDE_LOG" 2>/dev/null || echo 0)
    local status=0
    # In a subshell of its own, so that a scenario's `set -e` ends the scenario and not the report.
    (set -e; . "$file") || status=$?
    printf 'lab: %s %s\n' "$name" "$( ((status == 0)) && echo happened || echo "did not happen (status $status)")"
    outside_since | jq -r '"lab: outside saw \(.protocol) \(.address):\(.port) from \(.from) \(.request // .question // "")"'
    return "$status"
}

docker() { engine_client "$SCENARIO_ENGINE" "$@"; }

# The context is a folder, as most are; --no-cache, since a cached step does nothing.
build() {
    local context
    context=$(mktemp -d "$LAB_ROOT/context/XXXXXX")
    cat >"$context/Dockerfile"
    echo content >"$context/file"
    docker build ${FRESH---no-cache} ${TAG:+-t "$TAG"} "$@" "$context"
}

fails() {
    local status=0
    "$@" || status=$?
    ((status != 0))
}

outside_since() { tail -c "+$((SCENARIO_MARK + 1))" "$OUTSIDE_LOG" 2>/dev/null || true; }

# outside_saw ADDRESS PORT
outside_saw() { outside_since | jq -e -s --arg a "$1" --argjson p "$2" 'any(.[]; .address == $a and .port == $p)' >/dev/null; }

# Whoever speaks plain TCP or TLS asks for it; the engine is started anew when it listens otherwise.
needs_api() {
    [[ $(cat "$(engine_directory "$SCENARIO_ENGINE")/tcp" 2>/dev/null) == "$1" ]] ||
        die 1 "this engine does not listen over $1: lab up --engine $SCENARIO_ENGINE --$1"
}

# As another host would: from the outside namespace.
remote_curl() {
    [[ -n $API ]] || die 1 "this engine does not listen on TCP: lab up --tcp"
    if [[ -n $API_TLS ]]; then
        ip netns exec "$NAMESPACE" curl -sS --cacert "$API_TLS/ca.pem" --cert "$API_TLS/${CLIENT:-mallory}.pem" --key "$API_TLS/${CLIENT:-mallory}-key.pem" "$@"
    else
        ip netns exec "$NAMESPACE" curl -sS "$@"
    fi
}

# A context as one archive: Dockerfile on standard input, the archive's path on standard output.
tar_context() {
    local context
    context=$(mktemp -d "$LAB_ROOT/context/XXXXXX")
    cat >"$context/Dockerfile"
    tar -C "$context" -cf "$context.tar" .
    printf '%s\n' "$context.tar"
}

# A client configuration that another user may write to, as buildx does.
user_config() {
    cp -rL "$LAB_ROOT/client/$SCENARIO_ENGINE" "$1/.client"
    chown -R 1000:1000 "$1/.client"
    printf '%s\n' "$1/.client"
}
