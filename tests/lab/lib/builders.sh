# Builders other than the engine: buildah and podman of this machine, and builders put into container images.

need_program() { PATH=$SYSTEM_PATH type -P "$1" >/dev/null || die 69 "not installed: $1 (package $1)"; }

# buildah and podman with stores of their own, gone with the lab. vfs needs nothing of the kernel.
store_options() {
    STORE=$LAB_ROOT/store
    mkdir -p "$STORE"
    printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$STORE/policy.json"
    printf '%s\n' --root "$STORE/root" --runroot "$STORE/run" --storage-driver vfs
}

buildah() { need_program buildah; in_store buildah "$@"; }

podman() { need_program podman; in_store podman --runtime runc --cgroup-manager cgroupfs --events-backend none "$@"; }

in_store() {
    local options
    mapfile -t options < <(store_options)
    env PATH="$SYSTEM_PATH" "$1" "${options[@]}" "${@:2}"
}

# build_with COMMAND...: the Dockerfile on standard input; the builder's own network is the host's.
build_with() {
    local context
    context=$(mktemp -d "$LAB_ROOT/context/XXXXXX")
    cat >"$context/Dockerfile"
    "$@" --network host --tls-verify=false --no-cache --signature-policy "$LAB_ROOT/store/policy.json" -t "$TAG" "$context"
}

# A container image with a builder of this machine in it: builder_image NAME PROGRAM...
builder_image() {
    local name=$1 tree program
    shift
    BUILDER_IMAGE=lab-builder/$name:1
    ! docker image inspect "$BUILDER_IMAGE" >/dev/null 2>&1 || return 0
    tree=$(mktemp -d "$LAB_ROOT/images/XXXXXX")
    debian_tree "$tree"
    for program in "$@"; do
        PATH=$(engine_path "$SCENARIO_ENGINE") type -P "$program" >/dev/null || die 69 "not installed: $program"
        copy_with_libraries "$(PATH=$(engine_path "$SCENARIO_ENGINE") type -P "$program")" "$tree" "/usr/bin/$program"
    done
    mkdir -p "$tree"/{etc/containers,run,var/lib,var/tmp,proc,sys,dev,root}
    printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$tree/etc/containers/policy.json"
    printf 'root:1:65536\n' | tee "$tree/etc/subuid" >"$tree/etc/subgid"
    tar -C "$tree" -c . | docker import -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - "$BUILDER_IMAGE" >/dev/null
    rm -rf "$tree"
}

# What --privileged gives, without what this machine itself may not have.
privileged_run() {
    local drop=()
    # Old engines ask for every capability there is, and fail where the machine itself was denied one.
    [[ $(engine_version "$SCENARIO_ENGINE") != 20.* ]] || drop=(--cap-drop SYS_RESOURCE)
    docker run --rm -i --cap-add ALL "${drop[@]}" --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --device-cgroup-rule 'a *:* rwm' -v /sys/fs/cgroup:/sys/fs/cgroup "$@"
}
