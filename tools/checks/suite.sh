#!/bin/sh
# suite.sh FOLDER [CTEST-OPTION...]: runs every test program of a build folder, or those that the
# options leave, and ends with "N passed, N failed".
#
# ctest counts programs; people count tests.  So the numbers are summed over the closing lines of
# the Criterion programs, and a program that died before its closing line is one failure.
set -eu
. tools/checks/common.sh
folder=$1
shift
began=$(seconds)

# A program runs two tests at once, each with threads of its own: more threads than cores.  Those
# that wait must sleep; spinning took more time than the tests.
export OMP_WAIT_POLICY=passive

# 600 s: no program may hang a run for ever; the slowest takes a tenth of that without sanitizers.
{
    status=0
    ctest --test-dir "$folder" --output-on-failure --timeout 600 "$@" </dev/null 2>&1 || status=$?
    echo "$status" >"$folder/ctest.status"
} | tee "$folder/ctest.log"
say "tests: $(($(seconds) - began)) s"

awk '
    FNR == 1 { file++ }
    # The full log: which program printed which closing line.
    file == 1 && /^[0-9]+\/[0-9]+ Test: / { name = $3 }
    file == 1 && /Synthesis: Tested:/ {
        split($0, part, /Tested: |Passing: /)
        tested[name] = part[2] + 0
        passing[name] = part[3] + 0
    }
    # The short log: how each program ended ("  Passed", "***Failed", "***Timeout", "***Not Run").
    file == 2 && /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
        sub(/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /, "")
        name = $1
        ended_well = / Passed +[0-9.]+ sec/
        if (!(name in tested)) { tested[name] = 1; passing[name] = ended_well }
        if (!ended_well && passing[name] == tested[name]) tested[name]++
        if (!tested[name]) print name ": no test ran (all skipped, or none there)"
        passed += passing[name]
        failed += tested[name] - passing[name]
    }
    END {
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0 || passed == 0
    }
' "$folder/Testing/Temporary/LastTest.log" "$folder/ctest.log" >"$folder/summary.txt" || bad=1
cat "$folder/summary.txt"
[ "${bad:-0}" = 0 ] && [ "$(cat "$folder/ctest.status")" = 0 ]
