# Every address of the lab. Single ones only: other addresses of these ranges may be in use on this machine.

DNS4=203.0.113.53
DNS6=2001:db8:53::53
EVIL4=203.0.113.66
EVIL6=2001:db8:66::66
# Routed but owned by nobody: what is sent there is dropped without a word.
SILENT4=203.0.113.79
SILENT6=2001:db8:79::79

NAMESPACE=imagesentinel-outside
LINK=isl-link
LINK_PEER=isl-peer
LINK4_HOST=198.18.77.1
LINK4_OUTSIDE=198.18.77.2
LINK6_HOST=fd5e:1612:77::1
LINK6_OUTSIDE=fd5e:1612:77::2

outside_addresses4() {
    local n
    printf '%s\n' "$DNS4"
    for n in {60..78}; do printf '203.0.113.%d\n' "$n"; done
    # One for each case of a test run, so that every case has a destination that was never seen.
    for n in {1..239}; do printf '198.51.100.%d\n' "$n"; done
}

outside_addresses6() {
    local n
    printf '%s\n' "$DNS6" "$EVIL6"
    for n in {1..96}; do printf '2001:db8:64::%x\n' "$n"; done
}

silent_addresses4() {
    local n
    printf '%s\n' "$SILENT4"
    for n in {240..254}; do printf '198.51.100.%d\n' "$n"; done
}

silent_addresses6() { printf '%s\n' "$SILENT6"; }

# Each engine its own bridge and subnets; the third octet is looked for, since the machine may use some.
engine_index() {
    case $1 in
        system) echo 0 ;;
        26.1) echo 1 ;;
    esac
}

engine_bridge() { printf 'isl-br%d\n' "$(engine_index "$1")"; }

engine_subnet6() { printf 'fd5e:1612:d0c:%d' "$(($(engine_index "$1") + 1))"; }

free_octet() {
    local octet
    for ((octet = 77 + 20 * $(engine_index "$1"); octet < 250; octet++)); do
        if [[ -z $(ip -4 route show root "10.77.$octet.0/24") && -z $(ip -4 route show match "10.77.$octet.0/24" | grep -v '^default') ]]; then
            echo "$octet"
            return
        fi
    done
    die 1 "no free subnet in 10.77.0.0/16"
}
