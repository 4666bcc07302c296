#!/bin/sh
# The rules of the tree that need no compiler: who includes whom, unique file names, clean text, no
# path of somebody's machine.  Soft limits are printed and never fail.
set -eu
. tools/checks/common.sh
bad=0

# shellcheck disable=SC2046 # our file names hold no blanks (checked below)
awk -f tools/checks/includes.awk $(sources) || bad=1

# Only reference.c and the levels, in every op's room, have namesakes.
twins=$(sources | awk -F/ '
    $1 == "kernels" && NF == 3 && $3 ~ /^(reference|cpu|vendor)\.c$|^sm[0-9]+\.cu$/ { next }
    $NF in seen { print "  " seen[$NF] " and " $0 }
    { seen[$NF] = $0 }')
[ -z "$twins" ] || {
    say "files are found by their name alone, so these may not share one:" "$twins"
    bad=1
}

# Every text file of the tree, without what a build leaves behind.
files=$(find . -type f ! -path './.git/*' ! -path './build*' ! -path './out/*' ! -name .git \
    -size -512k | LC_ALL=C sort)
case $files in
*" "*)
    say "file names hold no blanks:" "$(say "$files" | grep ' ')"
    exit 1
    ;;
esac
text=$(say "$files" | grep -v '^\./tests/fuzz/.*/' | xargs grep -IlE .)
code=$(say "$text" | grep -E '\.([ch]|cc|hh|cu|cuh|sh|awk|py|md)$|CMakeLists\.txt$|/dev$|/\.ci/run$')
rule() { # rule SENTENCE FILES GREP-OPTION...
    sentence=$1
    list=$2
    shift 2
    if say "$list" | xargs grep -n "$@" /dev/null; then
        say "  ^ $sentence"
        bad=1
    fi
}
rule "no blanks at the end of a line" "$code" -E '[[:blank:]]+$'
rule "no carriage returns" "$code" "$(printf '\r')"
rule "no tabs" "$code" "$(printf '\t')"
# Homes of people and of build machines; then this checkout's own place and this user's home.
rule "no path of a developer's machine" "$text" -E '/(home|Users|root|mnt|media|workspace)/[A-Za-z]'
for place in "$(pwd)" "${HOME:-}"; do
    case $place in
    "" | / | /root | /tmp) ;; # too short to mean anything; the rule above has /root/
    *) rule "no path of a developer's machine" "$text" -F "$place/" ;;
    esac
done

# shellcheck disable=SC2046
awk -f tools/checks/limits.awk $(sources)
exit $bad
