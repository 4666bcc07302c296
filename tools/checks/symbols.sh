#!/bin/sh
# symbols.sh FOLDER: what the two static libraries export, use and keep, read off the objects: grep
# cannot be fooled there.
set -eu
. tools/checks/common.sh
bad=0
none() { # none SENTENCE LINES
    [ -z "$2" ] || {
        say "$1:" "$2"
        bad=1
    }
}
# Exception: .gomp_critical_user_* is the lock of an `omp critical`, which OpenMP shares by name.
# And NVTX's headers: functions, a table of them, and one look into the environment for a profiler.
nm_ours() {
    nm "$@" | grep -vE '^(\.gomp_critical_user_|nvtx)|  *\.gomp_critical_user_| [VW] nvtx'
}
for library in refinery_kernels refinery_engine; do
    archive=$1/lib$library.a
    [ -f "$archive" ] || fail 1 "$archive is not built"
    none "$library exports a name without the prefix rf_" "$(nm_ours -g --defined-only "$archive" |
        awk 'NF == 3 && $3 !~ /^rf_/ { print "  " $3 }')"
    none "$library prints, exits or reads the environment" "$(nm -u "$archive" | awk '
        /^[^ ].*:$/ { object = $1 }
        $2 ~ /^_*(printf|puts|putchar|perror|stdout|stderr|exit|_exit|quick_exit|abort)(_chk)?$/ ||
        object == "trace_nvtx.c.o:" && $2 == "getenv" { next }
        $2 ~ /^(secure_)?getenv$|^setenv$|^putenv$/ { print "  " object " " $2 }')"
    # Sections that a running program writes to.  Constants with pointers live in .data.rel.ro.
    none "$library keeps mutable state" "$(nm_ours --defined-only -f sysv "$archive" | awk -F'|' '
        { gsub(/ /, "", $1); gsub(/ /, "", $7) }
        $7 ~ /^\.(t?bss|t?data)(\..*)?$|^\*COM\*$/ && $7 !~ /^\.data\.rel\.ro/ {
            print "  " $1 " in " $7 }')"
done
# Of two functions of one name the linker takes the first it meets, and says nothing.
objects=$(ninja -C "$1" -t inputs refinery | sed -n "s|^\(.*\.o\)\$|$1/\1|p")
[ -n "$objects" ] || fail 1 "$1: ninja names no object of the program"
none "defined twice in $1/refinery" "$(say "$objects" | xargs nm -g --defined-only |
    awk 'NF == 3 && $2 ~ /[TDRB]/ { print "  " $3 }' | LC_ALL=C sort | uniq -d)"
# An assert's file name or a build path in the program would tell where it was built.
for program in "$1"/librefinery_*.a "$1/refinery"; do
    [ ! -f "$program" ] || ! grep -qF "$(pwd)/" "$program" || {
        say "$program holds the path of this checkout"
        bad=1
    }
done
exit $bad
