# shellcheck shell=sh
# What ./dev and the checks share.  Sourced, from the root of the tree; defines, and does nothing.

say() { printf '%s\n' "$@"; }

fail() { # fail CODE SENTENCE
    code=$1
    shift
    printf 'dev: %s\n' "$*" >&2
    exit "$code"
}

cores() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN; }

seconds() { date +%s; }

# Every source file of ours; no git, so that a new file counts before it is added.
sources() {
    find kernels engine tools bench tests \
        -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cc' -o -name '*.hh' 2>/dev/null |
        LC_ALL=C sort
}

# configure FOLDER OPTION...: cmake, quiet unless it fails; what it says about this machine ("no
# CUDA toolkit: ...") is told once, for the folder that people use.
configure() {
    folder=$1
    shift
    mkdir -p "$folder"
    cmake -S . -B "$folder" -G Ninja "$@" >"$folder/configure.log" 2>&1 || {
        cat "$folder/configure.log" >&2
        fail 1 "cmake could not configure $folder/; its output is above"
    }
    [ "$folder" != build ] || sed -n 's/^-- refinery: //p' "$folder/configure.log"
}

compile() { # compile FOLDER [TARGET...]
    ninja -C "$@" -j "$(cores)"
}
