# The peers: Debian's packages, unpacked into the results folder. Nothing is installed, no service starts, no user is made.

PEERS=$RESULTS/peers

peers_ready() {
    [[ -e $PEERS/done ]] && return
    rm -rf "$PEERS"
    mkdir -p "$PEERS/packages" "$PEERS/root"
    if command -v apt-get >/dev/null; then
        local package
        for package in auditd libaudit1 libauparse0 libauparse-dev libaudit-dev libwrap0 libcap-ng0 laurel; do
            (cd "$PEERS/packages" && apt-get download -qq "$package" >/dev/null 2>&1) || note "no package $package"
        done
        for package in "$PEERS"/packages/*.deb; do
            [[ ! -e $package ]] || dpkg-deb -x "$package" "$PEERS/root"
        done
    fi
    : >"$PEERS/done"
}

# peer NAME: the path of a peer's program; fails when there is none.
peer() {
    local path
    for path in "$PEERS/root"/{sbin,usr/sbin,usr/bin}/"$1"; do
        [[ ! -x $path ]] || { printf '%s\n' "$path"; return; }
    done
    return 1
}

peer_libraries() { find "$PEERS/root" -name '*.so.*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:; }

peer_version() { for _ in "$PEERS"/packages/"$1"_*.deb; do [[ ! -e $_ ]] || dpkg-deb -f "$_" Version; done; }

# With the peers' own libraries, and only for the peer.
with_peer_libraries() { env LD_LIBRARY_PATH="$(peer_libraries)" "$@"; }

auparse_walk() {
    local library
    library=$(find "$PEERS/root" -name libauparse.so.0 | head -1)
    [[ -n $library ]] || return 1
    tool auparse-walk "-I$PEERS/root/usr/include" "$library" "${library%/*}/libaudit.so.1"
}

# Debian's own configuration, but for the user it would become and where it writes.
laurel_configuration() {
    local file=$1 directory=$2 output=$3
    mkdir -p "$directory"
    sed -e '/^user *=/d' -e "s#^directory *=.*#directory = \"$directory\"#" -e "s#^file *= *\"audit.log\"#file = \"$output\"#" \
        "$PEERS/root/etc/laurel/config.toml" >"$file"
}
