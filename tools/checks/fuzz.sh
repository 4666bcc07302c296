#!/bin/sh
# fuzz.sh [SECONDS]: each libFuzzer target for a short while, from its committed seeds.  A smoke
# run: it finds what the last change broke; for a hunt, give it an hour.
set -eu
. tools/checks/common.sh
configure build-fuzz -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DRF_FUZZ=ON \
    -DRF_TESTS=OFF -DRF_BENCH=OFF
compile build-fuzz
time=${1:-20}
bad=0
ran=0
while read -r name; do
    [ -n "$name" ] || continue
    found=build-fuzz/found/$name # what this machine found out stays for the next run
    seeds=tests/fuzz/$name
    log=build-fuzz/$name.log
    mkdir -p "$found"
    [ -d "$seeds" ] || seeds=$found
    # allocator_may_return_null: a size that a file invents must end in a message, not in a death.
    ASAN_OPTIONS=allocator_may_return_null=1 "build-fuzz/$name" -max_total_time="$time" \
        -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build-fuzz/ \
        "$found" "$seeds" >"$log" 2>&1 </dev/null || {
        tail -n 60 "$log"
        say "$name: failed; the input is saved under build-fuzz/"
        bad=1
    }
    say "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $time s"
    ran=$((ran + 1))
done <build-fuzz/fuzzers.txt
[ "$ran" -gt 0 ] || fail 1 "there is no fuzz target"
exit $bad
