# Base images, made of this machine's own programs: nothing is downloaded.

images_up() {
    local engine=$1 name
    [[ -e $LAB_ROOT/images/pushed ]] && return
    mkdir -p "$LAB_ROOT/images"
    make -s -C "$REPOSITORY/native/provoke" OUT="$LAB_ROOT/images/provoke"
    alpine_tree "$LAB_ROOT/images/alpine"
    debian_tree "$LAB_ROOT/images/debian"
    for name in alpine:3 debian:12; do
        # Pushed and then forgotten by the engine, so that the first FROM really pulls.
        tar -C "$LAB_ROOT/images/${name%:*}" -c . | engine_client "$engine" import -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - "$(base_image "$name")" >/dev/null
        engine_client "$engine" push -q "$(base_image "$name")" >/dev/null
        engine_client "$engine" rmi -f "$(base_image "$name")" >/dev/null
    done
    rm -rf "$LAB_ROOT/images/alpine" "$LAB_ROOT/images/debian"
    : >"$LAB_ROOT/images/pushed"
}

# busybox and the provoking programs: one static file each.
alpine_tree() {
    mkdir -p "$1"/{bin,etc,root,tmp,usr/bin,usr/local/bin,var}
    chmod 1777 "$1/tmp"
    cp "$(busybox_program)" "$1/bin/busybox"
    local applet
    for applet in $("$1/bin/busybox" --list); do
        [[ $applet == busybox || -e $1/bin/$applet ]] || ln -s busybox "$1/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
    printf 'root:x:0:\n' >"$1/etc/group"
    cp "$LAB_ROOT"/images/provoke/* "$1/usr/local/bin/"
}

busybox_program() {
    local path
    for path in /bin/busybox /usr/bin/busybox; do
        ! file_is_static "$path" || { printf '%s\n' "$path"; return; }
    done
    die 69 "busybox is not a static program (package busybox-static)"
}

file_is_static() { [[ -x $1 ]] && ! ldd "$1" >/dev/null 2>&1; }

# The same, with the dynamically linked programs that real Dockerfiles use, and what they load at run time.
debian_tree() {
    local program library python stdlib
    alpine_tree "$1"
    for program in curl wget bash; do
        rm -f "$1/bin/$program"
        copy_with_libraries "$(PATH=$SYSTEM_PATH command -v "$program")" "$1" "/usr/bin/$program"
    done
    ln -sf ../usr/bin/bash "$1/bin/bash"

    python=$(PATH=$SYSTEM_PATH /usr/bin/python3 -c 'import sys; print(sys.executable)')
    stdlib=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["stdlib"])')
    copy_with_libraries "$(readlink -f "$python")" "$1" /usr/bin/python3
    mkdir -p "$1$stdlib"
    tar -C "$stdlib" --exclude=test --exclude=__pycache__ --exclude=dist-packages --exclude='config-*' -c . | tar -C "$1$stdlib" -x
    for library in "$stdlib"/lib-dynload/_{ssl,ctypes,hashlib,bz2,lzma}*.so; do
        copy_libraries "$library" "$1"
    done

    # Name service modules are opened by name, so ldd knows nothing of them.
    for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
        library=$(find /lib /usr/lib -name "$library" -path '*linux-gnu*' ! -path '*i386*' 2>/dev/null | head -1)
        [[ -z $library ]] || install_file "$library" "$1" "$library"
    done
    printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
}

install_file() {
    mkdir -p "$2$(dirname "$3")"
    cp -L "$1" "$2$3"
}

copy_with_libraries() {
    install_file "$1" "$2" "$3"
    copy_libraries "$1" "$2"
}

copy_libraries() {
    local library
    for library in $(ldd "$1" 2>/dev/null | grep -o '/[^ )]*'); do
        [[ -e $2$library ]] || install_file "$library" "$2" "$library"
    done
}
