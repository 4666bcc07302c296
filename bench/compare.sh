#!/bin/sh
# refinery's CPU path beside its peers, one after the other on the same machine in the same run.
#
#     bench/compare.sh CHECKPOINT [SIZE]        > bench/results/DATE-MACHINE.txt
#
# CHECKPOINT is a full-size SDXL checkpoint, such as `build/refinery synth --arch sdxl` writes.
# PYTHON names a Python that has torch and diffusers, SD_CLI stable-diffusion.cpp's program; what is not
# named is left out.  refinery runs first and last: the two show how steady the machine was.
set -eu
checkpoint=${1:?usage: bench/compare.sh CHECKPOINT [SIZE]}
size=${2:-512}

echo "date: $(date -u +%Y-%m-%d), commit: $(git rev-parse --short HEAD)"
grep -m 1 'model name' /proc/cpuinfo
echo "cores: $(nproc), load before: $(cut -d ' ' -f 1 /proc/loadavg)"
run() {
    echo
    echo "\$ $*"
    "$@"
}
run build/refinery-bench-network "$checkpoint" --size "$size"
[ -z "${PYTHON:-}" ] || run "$PYTHON" bench/peers/pytorch_unet.py --threads "$(nproc)" --size "$size"
[ -z "${SD_CLI:-}" ] ||
    run "${PYTHON:-python3}" bench/peers/sdcpp_unet.py "$SD_CLI" "$checkpoint" --size "$size"
run build/refinery-bench-network "$checkpoint" --size "$size"
echo
echo "load after: $(cut -d ' ' -f 1 /proc/loadavg)"
