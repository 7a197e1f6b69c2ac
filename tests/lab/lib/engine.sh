# One dockerd with everything of its own: data, sockets, bridge, subnet. The engine's own firewall handling stays off:
# a second dockerd would rewrite the chains of the first. Instead the few rules below, known by their comment.

engine_name() {
    case $1 in
        system | 26.1) printf '%s\n' "$1" ;;
        20.10)
            [[ $(PATH=$SYSTEM_PATH dockerd --version) == *' 20.10.'* ]] || die 64 "this system's engine is not 20.10; use --engine system"
            echo system
            ;;
        *) die 64 "unknown engine $1 (system, 26.1)" ;;
    esac
}

engine_directory() { printf '%s/engine-%s\n' "$LAB_ROOT" "$1"; }
engine_socket() { printf '%s/docker.sock\n' "$(engine_directory "$1")"; }

engine_path() {
    if [[ $1 == system ]]; then
        printf '%s\n' "$SYSTEM_PATH"
    else
        printf '%s/usr/bin:%s/usr/sbin:%s\n' "$(engine_programs "$1")" "$(engine_programs "$1")" "$SYSTEM_PATH"
    fi
}

# The engine's own client on that engine; BUILDKIT chooses the builder.
engine_client() {
    local engine=$1
    shift
    # env, because a scenario calls its own function of the name docker.
    env PATH="$(engine_path "$engine")" DOCKER_HOST="unix://$(engine_socket "$engine")" \
        DOCKER_CONFIG="$LAB_ROOT/client/$engine" DOCKER_BUILDKIT="${BUILDKIT:-1}" BUILDKIT_PROGRESS=plain \
        DOCKER_CLI_HINTS=false docker "$@"
}

engine_version() { engine_client "$1" version --format '{{.Server.Version}}'; }

engine_answers() { curl -fsS -m 2 -o /dev/null --unix-socket "$(engine_socket "$1")" http://engine/_ping 2>/dev/null; }

# Succeeds also when the engine has died: waiting longer would not help.
engine_settled() { engine_answers "$1" || ! is_alive "$(engine_directory "$1")/lab.pid"; }

engine_up() {
    local engine=$1 tcp=$2 d bridge octet hosts=()
    d=$(engine_directory "$engine")
    if is_alive "$d/lab.pid"; then
        [[ -n $tcp && $(cat "$d/tcp" 2>/dev/null) != "$tcp" ]] || return 0
        note "engine $engine starts anew, to listen over $tcp"
        end_process "$d/lab.pid" 20
    fi

    engine_install "$engine"
    mkdir -p "$d" "$LAB_ROOT/client/$engine"
    chmod 0711 "$d"
    engine_plugins "$engine"
    bridge=$(engine_bridge "$engine")
    [[ -e $d/octet ]] || free_octet "$engine" >"$d/octet"
    octet=$(<"$d/octet")
    engine_network_up "$bridge" "10.77.$octet" "$(engine_subnet6 "$engine")"

    hosts=(-H "unix://$d/docker.sock")
    [[ -z $tcp ]] || echo "$tcp" >"$d/tcp"
    tcp=$(cat "$d/tcp" 2>/dev/null || true)
    # The second listener is for clients of this host itself.
    [[ -z $tcp ]] || hosts+=(-H "tcp://$(engine_api "$engine")" -H "tcp://127.0.0.1:$(engine_port "$engine")")
    if [[ $tcp == tls ]]; then
        certificates_up
        hosts+=(--tlsverify --tlscacert "$LAB_ROOT/engine-tls/ca.pem" --tlscert "$LAB_ROOT/engine-tls/server.pem" --tlskey "$LAB_ROOT/engine-tls/server-key.pem")
    fi

    echo '{}' >"$d/daemon.json"
    rm -f "$d/docker.pid"
    PROGRAM_PATH=$(engine_path "$engine") start_program "$d/lab.pid" "$d/log" dockerd \
        --config-file "$d/daemon.json" --data-root "$d/data" --exec-root "$d/exec" -p "$d/docker.pid" "${hosts[@]}" \
        --bridge "$bridge" --iptables=false --ip-masq=false --ip-forward=false \
        --ipv6 --fixed-cidr-v6 "$(engine_subnet6 "$engine")::/64" \
        --dns "$DNS4"
    await 60 engine_settled "$engine" || true
    engine_answers "$engine" || die 1 "dockerd did not start: $(tail -3 "$d/log")"
}

# The ports that Docker's documentation names: 2375 plain, 2376 TLS; ten more for the second engine.
engine_port() {
    local base=2375
    [[ $(cat "$(engine_directory "$1")/tcp" 2>/dev/null) != tls ]] || base=2376
    echo "$((base + 10 * $(engine_index "$1")))"
}

engine_api() { printf '%s:%s\n' "$LINK4_HOST" "$(engine_port "$1")"; }

# An authority, a server and two clients: one that an operator would list, one that nobody knows.
certificates_up() {
    local d=$LAB_ROOT/engine-tls name
    [[ ! -e $d/mallory.pem ]] || return 0
    mkdir -p "$d"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=lab authority' \
        -keyout "$d/ca-key.pem" -out "$d/ca.pem" 2>/dev/null
    for name in server ci mallory; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" -keyout "$d/$name-key.pem" -out "$d/$name.csr" 2>/dev/null
        openssl x509 -req -days 2 -in "$d/$name.csr" -CA "$d/ca.pem" -CAkey "$d/ca-key.pem" -CAcreateserial -out "$d/$name.pem" \
            -extfile <(printf 'subjectAltName=IP:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' "$LINK4_HOST") 2>/dev/null
    done
}

# The bridge with both families, forwarding for these two links alone, and rules that let containers reach the outside
# and nothing else.
engine_network_up() {
    local bridge=$1 net4=$2 net6=$3
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        # Without an address of its own a bridge takes its lowest port's, and changes it when that container goes:
        # the others then send to a gateway that is no longer there.
        ip link add "$bridge" address "02:16:12:00:00:0${bridge#isl-br}" type bridge
        ip address add "$net4.1/24" dev "$bridge"
        ip -6 address add "$net6::1/64" dev "$bridge" nodad
        ip link set "$bridge" up
    fi

    echo 1 >"/proc/sys/net/ipv4/conf/$bridge/forwarding"
    echo 1 >"/proc/sys/net/ipv4/conf/$LINK/forwarding"
    forward6 "$bridge" "$LINK"
    engine_rules -C "$bridge" "$net4" "$net6" 2>/dev/null || engine_rules -I "$bridge" "$net4" "$net6"
}

# Forwarding IPv6 for single links needs a recent kernel; else for all, and then links that take their routes from
# router advertisements must be told to keep doing so.
forward6() {
    local link settings=/proc/sys/net/ipv6/conf
    if [[ -e $settings/$1/force_forwarding ]]; then
        for link in "$@"; do echo 1 >"$settings/$link/force_forwarding"; done
        return
    fi

    [[ $(<"$settings/all/forwarding") == 0 ]] || return 0
    for link in "$settings"/*/accept_ra; do
        [[ $(<"$link") != 1 ]] || { echo 2 >"$link"; echo "$link" >>"$LAB_ROOT/before/accept_ra"; }
    done
    echo 1 >"$settings/all/forwarding"
    : >"$LAB_ROOT/before/forwarding6"
}

forward6_down() {
    local link
    [[ -e $LAB_ROOT/before/forwarding6 ]] || return 0
    echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
    [[ ! -e $LAB_ROOT/before/accept_ra ]] || while read -r link; do
        [[ ! -e $link ]] || echo 1 >"$link"
    done <"$LAB_ROOT/before/accept_ra"
    rm -f "$LAB_ROOT/before/forwarding6" "$LAB_ROOT/before/accept_ra"
}

engine_rules() {
    local action=$1 bridge=$2 net4=$3 net6=$4 mark=(-m comment --comment imagesentinel-lab)
    # Inserted at the top one by one, so the last one here is the first to be asked.
    local tool
    for tool in iptables ip6tables; do
        "$tool" -w "$action" FORWARD -i "$bridge" "${mark[@]}" -j REJECT
        "$tool" -w "$action" FORWARD -o "$bridge" "${mark[@]}" -j ACCEPT
        "$tool" -w "$action" FORWARD -i "$bridge" -o "$LINK" "${mark[@]}" -j ACCEPT
        "$tool" -w "$action" FORWARD -i "$bridge" -o "$bridge" "${mark[@]}" -j ACCEPT
    done
    iptables -w -t nat "$action" POSTROUTING -s "$net4.0/24" ! -o "$bridge" "${mark[@]}" -j MASQUERADE
    ip6tables -w -t nat "$action" POSTROUTING -s "$net6::/64" ! -o "$bridge" "${mark[@]}" -j MASQUERADE
}

# By what is really there, not by what should be: a lab of yesterday's script is taken down as well.
remove_rules() {
    local tool table rule
    for tool in iptables ip6tables; do
        for table in filter nat; do
            "$tool-save" -t "$table" 2>/dev/null | grep -E -- "^-A .*$1 .*imagesentinel-lab" | while read -r rule; do
                # shellcheck disable=SC2086
                "$tool" -w -t "$table" -D ${rule#-A }
            done || true
        done
    done
}

engines_down() {
    local d engine
    for d in "$LAB_ROOT"/engine-*; do
        [[ -d $d ]] || continue
        engine=${d##*/engine-}
        engine_down "$engine" "$d"
    done
    kill_processes_of_lab
    forward6_down
}

engine_down() {
    local engine=$1 d=$2 bridge containers port
    if is_alive "$d/lab.pid"; then
        containers=$(timeout 10 bash -c "DOCKER_HOST=unix://$d/docker.sock PATH='$(engine_path "$engine")' docker ps -q" 2>/dev/null || true)
        # shellcheck disable=SC2086
        [[ -z $containers ]] || timeout 30 env DOCKER_HOST="unix://$d/docker.sock" PATH="$(engine_path "$engine")" docker rm -f $containers >/dev/null 2>&1 || true
    fi
    end_process "$d/lab.pid" 25

    bridge=$(engine_bridge "$engine")
    remove_rules "$bridge"
    if ip link show "$bridge" >/dev/null 2>&1; then
        for port in $(ip -o link show master "$bridge" | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }'); do
            ip link del "$port" 2>/dev/null || true
        done
        ip link del "$bridge"
    fi
}

# What an engine that died leaves running: its shims, and the processes of steps and containers.
kill_processes_of_lab() {
    local pid _
    for _ in 1 2 3; do
        list_processes_of_lab | while read -r pid _; do
            case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in
                *"outside.py"* | docker-registry*) ;;
                *) kill -KILL "$pid" 2>/dev/null || true ;;
            esac
        done
        sleep 0.1
    done
}

# The distribution's engine is there already; another one is unpacked beside it.
engine_install() { [[ $1 == system ]] || engine_unpack "$1"; }

engine_programs() { printf '%s/engine-%s\n' "${IMAGESENTINEL_LAB_CACHE:-${XDG_CACHE_HOME:-/var/cache}/imagesentinel-lab}" "$1"; }

engine_plugins() {
    local plugin=/usr/libexec/docker/cli-plugins/docker-buildx
    [[ $1 == system ]] || plugin=$(engine_programs "$1")$plugin
    [[ -x $plugin ]] || return 0
    mkdir -p "$LAB_ROOT/client/$1/cli-plugins"
    ln -sf "$plugin" "$LAB_ROOT/client/$1/cli-plugins/docker-buildx"
}
