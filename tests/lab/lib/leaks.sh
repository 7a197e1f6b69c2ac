# What the machine looked like before, and what of the difference is ours.

leak_list() {
    ip -o link show | awk -F': ' '{ sub(/@.*/, "", $2); print "link " $2 }'
    ip -4 route show table all | sed 's/^/route4 /;s/ *$//'
    ip -6 route show table all | sed 's/ expires [0-9]*sec//;s/^/route6 /;s/ *$//'
    ip netns list | awk '{ print "namespace " $1 }'
    findmnt -rno TARGET | sed 's/^/mount /'
    find /sys/fs/cgroup -type d \( -name docker -o -name innocent -o -path '*/docker/*' -o -path '*/innocent/*' \) 2>/dev/null | sed 's/^/cgroup /'
    { iptables-save; ip6tables-save; } 2>/dev/null | grep -- 'imagesentinel-lab' | sed 's/^/rule /' || true
    find /etc/docker /opt/containerd /run/containerd /run/docker /var/lib/docker /var/lib/containerd -maxdepth 2 2>/dev/null | sed 's/^/file /' || true
}

leak_snapshot() {
    leak_list | sort -u >"$1/list"
}

# Removes folders that engines make outside their own roots, if they were not there before and are empty now.
remove_stray_files() {
    local kind path
    # The classic trust key of engines up to 20.10 has no option for its place.
    grep -qxF 'file /etc/docker/key.json' "$STATE/before/list" || rm -f /etc/docker/key.json
    # A shim that was killed leaves its socket; a name that nobody listens on is free to go.
    leak_list | sort -u | comm -13 "$STATE/before/list" - | while read -r kind path; do
        [[ $kind == file && -S $path ]] || continue
        grep -qF " $path" /proc/net/unix || rm -f -- "$path"
    done
    leak_list | sort -u | comm -13 "$STATE/before/list" - | sort -r | while read -r kind path; do
        [[ $kind == file && -d $path ]] || continue
        rmdir --ignore-fail-on-non-empty -- "$path" 2>/dev/null || true
    done
}

# Prints what is left of the lab; other people's changes since then are theirs.
leak_check() {
    local left
    remove_stray_files
    left=$(leak_list | sort -u | comm -13 "$STATE/before/list" - |
        grep -E "isl-|$NAMESPACE|198\.18\.77\.|198\.51\.100\.|203\.0\.113\.|2001:db8:|fd5e:1612:|imagesentinel-lab|^cgroup |^file |$LAB_ROOT" || true)
    left+=$(list_processes_of_lab | sed 's/^/\nprocess /')
    rm -rf "$STATE/before"
    if [[ -n $left ]]; then
        note "left behind:"
        printf '%s\n' "$left" >&2
        return 1
    fi
    note "down; nothing left behind"
}

remove_mounts() {
    local target
    findmnt -rno TARGET | sort -r | while read -r target; do
        [[ $target != "$LAB_ROOT"/* ]] || umount -l -- "$target" 2>/dev/null || true
    done
}

remove_cgroups() {
    local kind path
    leak_list | sort -u | comm -13 "$LAB_ROOT/before/list" - | sort -r | while read -r kind path; do
        [[ $kind == cgroup ]] || continue
        await 5 rmdir "$path" 2>/dev/null || true
    done
}

# Engine programs whose command line names our folder, and processes whose root file system is a layer of ours.
list_processes_of_lab() {
    local directory pid name command
    for directory in /proc/[0-9]*; do
        pid=${directory#/proc/}
        name=$(cat "$directory/comm" 2>/dev/null) || continue
        command=$(tr '\0' ' ' <"$directory/cmdline" 2>/dev/null) || continue
        case $name in
            dockerd | containerd* | runc* | docker-registry | docker-proxy | exe | python3*)
                [[ $command != *"$LAB_ROOT/"* ]] || { printf '%s %s\n' "$pid" "$command"; continue; }
                ;;
        esac
        if awk -v root="$LAB_ROOT/" '$5 == "/" && index($0, root) { found = 1 } END { exit !found }' "$directory/mountinfo" 2>/dev/null; then
            printf '%s %s\n' "$pid" "$command"
        fi
    done
}
