#!/bin/sh
# cuda.sh [--write]: every kernel compiles for every architecture that we name, without a warning,
# a spill or local memory, and takes the registers that tools/checks/cuda_resources.txt says.
# --write makes that table anew.  Nothing here needs a GPU, and nothing here says that one agrees.
set -eu
. tools/checks/common.sh
table=tools/checks/cuda_resources.txt
architectures="sm_80 sm_86 sm_89 sm_90a sm_100 sm_120"
write=${1:-}

nvcc=$(command -v nvcc || command -v /usr/local/cuda/bin/nvcc) || {
    say "no nvcc here: the CUDA kernels were not compiled"
    exit 0
}
version=$("$nvcc" --version | sed -n 's/.*, \(V[0-9.]*\)$/\1/p')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

# One process per source and architecture: ptxas says what each kernel takes.
flags="-std=c++17 -I. -Werror all-warnings -Xcompiler -Wall,-Wextra,-Werror
    -Xptxas -v,-Werror,-warn-spills,-warn-lmem-usage"
for source in $(find kernels -name '*.cu' | LC_ALL=C sort); do
    for arch in $architectures; do
        say "$arch $source $work/$(say "$source" | tr / _).$arch"
    done
done >"$work/todo"
# shellcheck disable=SC2016,SC2086 # expanded by the inner shell; a list of words
xargs -P "$(cores)" -L 1 sh -c '
    nvcc=$1 flags=$2
    shift 2
    "$nvcc" $flags -arch="$1" -cubin "$2" -o "$3.cubin" >"$3.log" 2>&1 || : >"$3.failed"' \
    sh "$nvcc" "$(say $flags | tr '\n' ' ')" <"$work/todo" 2>/dev/null || :
while read -r arch source stem; do
    # C75xx: ptxas serialised or repaired something, and only tells.
    if [ -f "$stem.failed" ] || grep -qE 'C75[0-9][0-9]|warning' "$stem.log"; then
        say "$source for $arch:"
        grep -vE '^ptxas info' "$stem.log" | head -20
        bad=1
    fi
    c++filt <"$stem.log" | awk -v arch="$arch" -f tools/checks/cuda_resources.awk
done <"$work/todo" | LC_ALL=C sort -k6 -k1,1 >"$work/rows"
grep -v '^sm_' "$work/rows" && bad=1

# The device layer against the toolkit's own header; tests compile it with a stand-in for that.
gcc -std=c17 -D_GNU_SOURCE -I. -isystem "$(dirname "$(readlink -f "$nvcc")")/../include" \
    -DRF_CUDA_ARCHITECTURES=80 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion \
    -Werror -fsyntax-only engine/core/device_cuda.c || bad=1

# Loops around mma: no scalar arithmetic on f32 may run there.
for source in $(find kernels -name '*.cu' | LC_ALL=C sort); do
    "$nvcc" -std=c++17 -I. -arch=sm_80 -ptx "$source" -o "$work/ptx" || bad=1
    awk -f tools/checks/cuda_loops.awk "$work/ptx" || {
        say "^ $source"
        bad=1
    }
done

{
    say "# What each kernel takes, by ptxas; made by tools/checks/cuda.sh --write.  nvcc $version"
    say "# blocks: that a multiprocessor holds at once, by registers, shared memory and threads;"
    say "# 0: the device has too little shared memory, and the kernel is not chosen there."
    say "# architecture  registers  threads  shared_bytes  blocks  kernel"
    grep '^sm_' "$work/rows"
} >"$work/table"
if [ "$write" = --write ]; then
    cp "$work/table" $table
elif ! grep -q "nvcc $version\$" $table; then
    say "$table is of another nvcc than this $version: not compared"
elif ! diff $table "$work/table"; then
    say "^ registers changed: look at them, then tools/checks/cuda.sh --write"
    bad=1
fi
exit $bad
