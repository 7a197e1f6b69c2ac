# A newer engine beside the distribution's: Debian trixie's packages, unpacked and not installed, fetched by apt with
# lists and a cache of its own so that this machine's package sources stay as they are.

declare -A ENGINE_SUITES=([26.1]=trixie)

engine_unpack() {
    local engine=$1 directory work suite=${ENGINE_SUITES[$1]}
    directory=$(engine_programs "$engine")
    [[ -x $directory/usr/sbin/dockerd ]] && return
    note "fetching engine $engine from Debian $suite"
    mkdir -p "$directory"
    work=$(mktemp -d "$directory.XXXXXX")
    private_apt_sources "$suite" >"$work/sources.list"
    mkdir -p "$work"/{lists,cache/archives/partial,packages}
    private_apt "$work" update -qq
    (cd "$work/packages" && private_apt "$work" download -qq docker.io docker-cli docker-buildx containerd)
    local package
    for package in "$work"/packages/*.deb; do dpkg -x "$package" "$directory"; done
    # The newer runc wants a newer libc than this machine may have; the system's own serves both engines.
    rm -rf "$work" "$directory/usr/sbin/runc" "$directory/usr/bin/runc"
    [[ -x $directory/usr/sbin/dockerd ]] || die 1 "no dockerd in Debian $suite's packages"
}

# The mirror that this machine uses already, with another suite.
private_apt_sources() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk -v codename="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" '$2 == codename { print $1; exit }')
    [[ $(. /etc/os-release && echo "$ID") == debian && -n $mirror ]] ||
        die 69 "the second engine comes from Debian's mirror, and this machine has none configured"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$1"
}

private_apt() {
    local work=$1
    shift
    # As root apt would hand downloads to a user who may not enter the folder.
    apt-get -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}
