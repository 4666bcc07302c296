#!/bin/sh
# tidy.sh FOLDER: clang-tidy over every source that FOLDER's compile_commands.json names.  A file
# that passed is asked again only when it, a header or .clang-tidy is newer.
set -eu
. tools/checks/common.sh
stamps=$1/tidy
mkdir -p "$stamps"

fresh() { # fresh STAMP FILE: FILE passed since it, .clang-tidy and every header last changed
    [ -f "$1" ] && [ -n "$(find "$1" -newer "$2" -newer .clang-tidy)" ] &&
        [ -z "$(find kernels engine tools bench tests -name '*.h' -newer "$1" 2>/dev/null)" ]
}

sed -n 's/^ *"file": "\(.*\)",*$/\1/p' "$1/compile_commands.json" | sed "s|^$(pwd)/||" |
    LC_ALL=C sort -u | while read -r file; do
    stamp=$stamps/$(say "$file" | tr / _)
    fresh "$stamp" "$file" || say "$file $stamp"
done >"$stamps/todo"
say "$(wc -l <"$stamps/todo") files"
# Per line two words: the file, and the stamp it earns.
# shellcheck disable=SC2016 # expanded by the inner shell
xargs -r -P "$(cores)" -L 1 sh -c \
    'if clang-tidy -p "$0" --quiet "$1" >"$2.log" 2>&1; then touch "$2"; else
        grep -v " warnings generated\| warnings treated as errors" "$2.log"; exit 1; fi' "$1" \
    <"$stamps/todo"
