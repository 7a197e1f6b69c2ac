# The network namespace with the outside hosts, the link to it, and the loopback registry.

outside_up() {
    local d=$LAB_ROOT/outside
    mkdir -p "$d/files"
    ip netns list | grep -qw "$NAMESPACE" || outside_network_up
    is_alive "$d/pid" && return

    [[ -e $d/files/payload.bin ]] || make_payloads "$d/files"
    local addresses
    mapfile -t addresses < <(outside_addresses4; outside_addresses6)
    : >"$d/out"
    start_program "$d/pid" "$d/out" ip netns exec "$NAMESPACE" /usr/bin/python3 -u "$LAB_HOME/outside.py" \
        --log "$d/log.jsonl" --files "$d/files" --zone "$LAB_HOME/zone.json" --address "${addresses[@]}"
    await 30 grep -qx ready "$d/out" || die 1 "the outside servers did not start: $(tail -3 "$d/out")"
}

outside_network_up() {
    local address
    ip netns add "$NAMESPACE"
    ip link add "$LINK" type veth peer name "$LINK_PEER" netns "$NAMESPACE"
    ip address add "$LINK4_HOST/30" dev "$LINK"
    ip -6 address add "$LINK6_HOST/64" dev "$LINK" nodad
    ip link set "$LINK" up

    # A namespace inherits its parent's settings: here nothing may be forwarded, so that an address that is routed to
    # it but not its own is dropped in silence.
    ip netns exec "$NAMESPACE" sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding'
    {
        echo "link set lo up"
        echo "address add $LINK4_OUTSIDE/30 dev $LINK_PEER"
        echo "address add $LINK6_OUTSIDE/64 dev $LINK_PEER nodad"
        echo "link set $LINK_PEER up"
        outside_addresses4 | sed 's|.*|address add &/32 dev lo|'
        outside_addresses6 | sed 's|.*|address add &/128 dev lo nodad|'
    } | ip -netns "$NAMESPACE" -batch -

    # The blackhole stands behind the route: it takes over the moment the link goes.
    { outside_addresses4; silent_addresses4; } |
        sed "s|.*|route add &/32 via $LINK4_OUTSIDE dev $LINK metric 10\nroute add blackhole &/32 metric 1000|" | ip -batch -
    { outside_addresses6; silent_addresses6; } |
        sed "s|.*|route add &/128 via $LINK6_OUTSIDE dev $LINK metric 10\nroute add blackhole &/128 dev lo metric 1000|" | ip -6 -batch -
}

outside_down() {
    end_process "$LAB_ROOT/outside/pid" 5
    ip link del "$LINK" 2>/dev/null || true
    ip netns list | grep -qw "$NAMESPACE" && ip netns del "$NAMESPACE"
    { outside_addresses4; silent_addresses4; } | sed 's|.*|route del blackhole &/32 metric 1000|' | ip -force -batch - 2>/dev/null || true
    { outside_addresses6; silent_addresses6; } | sed 's|.*|route del blackhole &/128 dev lo metric 1000|' | ip -6 -force -batch - 2>/dev/null || true
}

make_payloads() {
    printf '#!/bin/sh\necho payload ran\n' >"$1/payload.sh"
    # An ELF that does nothing harmful, as a dropped program.
    make -s -C "$REPOSITORY/native/provoke" OUT="$LAB_ROOT/images/provoke"
    cp "$LAB_ROOT/images/provoke/fork-flood" "$1/payload.bin"
    printf 'FROM %s\nRUN echo remote\n' "$(base_image alpine)" >"$1/Dockerfile.remote"
    tar -C "$1" -cf "$1/context.tar" --transform 's/Dockerfile.remote/Dockerfile/' Dockerfile.remote
    make_git_repository "$1"
}

# A bare repository behind any static HTTP server is enough for a git context.
make_git_repository() {
    local work=$LAB_ROOT/images/repository
    command -v git >/dev/null || return 0
    mkdir -p "$work"
    cp "$1/Dockerfile.remote" "$work/Dockerfile"
    git -C "$work" init -q -b main
    git -C "$work" add Dockerfile
    git -C "$work" -c user.name=lab -c user.email=lab@example.invalid commit -q -m 'A context'
    git clone -q --bare "$work" "$1/repository.git"
    git -C "$1/repository.git" update-server-info
}

registry_port() { cat "$LAB_ROOT/registry/port"; }

base_image() { printf '127.0.0.1:%s/lab/%s\n' "$(registry_port)" "$1"; }

registry_up() {
    local d=$LAB_ROOT/registry
    is_alive "$d/pid" && return
    registry_config
    start_program "$d/pid" "$d/log" docker-registry serve "$d/config.yml"
    await 20 curl -fsS -o /dev/null "http://127.0.0.1:$(registry_port)/v2/" 2>/dev/null ||
        die 1 "the registry did not start: $(tail -3 "$d/log")"
}

registry_config() {
    local d=$LAB_ROOT/registry port=5000
    mkdir -p "$d/data"
    [[ -e $d/port ]] || {
        while ss -Hltn "sport = :$port" | grep -q .; do port=$((port + 1)); done
        echo "$port" >"$d/port"
    }
    cat >"$d/config.yml" <<CONFIG
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $d/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$(registry_port)"}
CONFIG
}

registry_down() { end_process "$LAB_ROOT/registry/pid" 5; }
