#!/bin/sh
# The whole suite under AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer.
#
# Criterion counts a leaking test as passed, whatever its exit code: so every report goes to a file,
# and a file fails the run.
set -eu
. tools/checks/common.sh
configure build-asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DRF_SANITIZE=ON \
    -DRF_TESTS=ON -DRF_BENCH=OFF
compile build-asan
here=$(pwd)
reports=$here/build-asan/reports
rm -rf "$reports"
mkdir -p "$reports"
# allocator_may_return_null: tests ask for absurd sizes and expect a message, not a death.
# abort_on_error: an _exit in the middle would pass for the end of a test.
export ASAN_OPTIONS="log_path=$reports/report:detect_leaks=1:allocator_may_return_null=1"
ASAN_OPTIONS="$ASAN_OPTIONS:abort_on_error=1"
export LSAN_OPTIONS="suppressions=$here/tools/checks/leaks.supp:print_suppressions=0"
export UBSAN_OPTIONS="log_path=$reports/report:print_stacktrace=1"
export LSAN_OPTIONS="exitcode=0" # judged below, not by the program
status=0
tools/checks/suite.sh build-asan || status=1
find "$reports" -type f -exec awk -f tools/checks/reports.awk {} + >build-asan/reports.txt
if [ -s build-asan/reports.txt ]; then
    head -n 300 build-asan/reports.txt
    say "^ sanitizer reports; all of them in build-asan/reports.txt"
    status=1
fi
exit $status
