#!/bin/sh
# run.sh [PART...]: the parts of ./dev check, quick ones first, each with its seconds.  All are run
# even when one fails, so that one round shows everything.
set -eu
. tools/checks/common.sh
PARTS="tree format shell headers clang seeds symbols tidy cuda sanitize fuzz"

build_clang() {
    configure build-clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang -DRF_TESTS=ON \
        -DRF_BENCH=ON
    compile build-clang
}

only() { # only PART
    case $1 in
    tree) tools/checks/tree.sh ;;
    format) sources | xargs clang-format --dry-run -Werror ;;
    shell) shellcheck -x dev .ci/run tools/checks/*.sh tools/bundle/*.sh ;;
    headers) tools/checks/headers.sh ;;
    clang) # g++ compiles the emulated kernels in every build: their fast runs would only repeat
        build_clang
        tools/checks/suite.sh build-clang -E '_sm80_fast$'
        ;;
    # Two more schedules of every kernel's checked test than ./dev test and the part above have.
    seeds)
        build_clang
        RF_EMU_SEED=2 OMP_WAIT_POLICY=passive ctest --test-dir build-clang -R '_sm80_checked$' \
            --no-tests=error --output-on-failure --timeout 600
        ;;
    symbols)
        build_clang
        tools/checks/symbols.sh build-clang
        ;;
    tidy)
        build_clang
        tools/checks/tidy.sh build-clang
        ;;
    cuda) tools/checks/cuda.sh ;;
    sanitize) tools/checks/sanitize.sh ;;
    fuzz) tools/checks/fuzz.sh ;;
    esac
}

if [ "${1:-}" = --only ]; then
    only "$2"
    exit
fi
for part in "$@"; do
    case " $PARTS " in
    *" $part "*) ;;
    *) fail 2 "check has no part '$part'; it has: $PARTS" ;;
    esac
done
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $PARTS

summary=
failed=0
for part in "$@"; do
    say "== check $part"
    began=$(seconds)
    result=ok
    # A process of its own: inside a condition, `set -e` does not hold for a function.
    "$0" --only "$part" </dev/null || result=FAILED
    [ $result = ok ] || failed=1
    summary="$summary
$(printf '  %-10s %5d s  %s' "$part" $(($(seconds) - began)) $result)"
done
say "== check, in seconds$summary"
exit $failed
