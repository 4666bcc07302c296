#!/bin/sh
# gpu_bundle.sh [FOLDER]: builds everything that wants a GPU into one folder (out/gpu-bundle) and a
# .tar.gz beside it, for machines that have an NVIDIA driver and nothing else: no network, no root,
# no compiler, no oneDNN.  There, run.sh runs it all.
#
# All programs share one library of kernels and one of the engine: copies of them in twelve programs
# would be most of the bundle.
set -eu
. tools/checks/common.sh
bundle=${1:-out/gpu-bundle}
build="build-bundle"
MOST_KIB=12288 # some machines are reached by slow copies: an aim, and a limit on what is added
# Machine code for Ampere (runs on Ada) and Hopper, and PTX for all that is newer.
ARCHITECTURES="80;90"

command -v nvcc >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ] ||
    fail 69 "a GPU bundle is compiled by nvcc (CUDA 12.8 or newer), which is not on this machine"

# shellcheck disable=SC2016 # $ORIGIN is for the loader
configure $build -DCMAKE_BUILD_TYPE=Release -DRF_CUDA=ON -DRF_SHARED=ON -DRF_ONEDNN=OFF \
    -DRF_OPENSSL=OFF -DRF_MPI=OFF -DRF_TESTS=ON -DRF_BENCH=ON \
    "-DRF_CUDA_ARCHITECTURES=$ARCHITECTURES" -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
    '-DCMAKE_INSTALL_RPATH=$ORIGIN/lib;$ORIGIN' -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags
compile $build gpu-programs refinery refinery-bench

loaded() { # loaded FILE...: what the programs among them load, by ldd
    for file in "$@"; do
        case $file in */run.sh | */steps.txt | */COMMIT | */tests | */lib) continue ;; esac
        env -u LD_LIBRARY_PATH ldd "$file"
    done
}

rm -rf "$bundle" "$bundle.tar.gz"
mkdir -p "$bundle/lib" "$bundle/tests/golden"
for program in "$build"/*_gpu "$build"/refinery "$build"/refinery-bench \
    "$build"/refinery-conformance; do
    strip -o "$bundle/${program##*/}" "$program"
done
for library in kernels engine; do
    strip -o "$bundle/lib/librefinery_$library.so" "$build/librefinery_$library.so"
done
cuda=$(sed -n 's/^CUDART_SHARED:FILEPATH=//p' "$build/CMakeCache.txt")
cp "$(dirname "$cuda")"/libcudart.so.[0-9][0-9] "$bundle/lib/"
# What the programs load, but for what every Linux with that C library has.
loaded "$bundle"/* | awk '$3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*)\.so|/librefinery_|/libcudart' |
    while read -r library; do cp -L "$library" "$bundle/lib/"; done
# The recorded values that these tests read, and no others.
for golden in networks vae_encoder taesd lora_kinds; do
    cp "tests/golden/$golden.safetensors" "$bundle/tests/golden/"
done
cp tools/bundle/run.sh tools/bundle/steps.txt "$bundle/"
commit=$(git describe --always --dirty --abbrev=12 2>/dev/null || echo "not from a repository")
printf '%s\n' "$commit" >"$bundle/COMMIT"

# It must load from its own folder alone, and say in a sentence that there is no GPU (77), or run.
missing=$(loaded "$bundle"/* "$bundle"/lib/* | grep 'not found' | sort -u || :)
[ -z "$missing" ] || fail 1 "the bundle lacks libraries: $missing"
"$bundle/refinery" version >/dev/null || fail 1 "the bundle's refinery does not start"
libc=$(objdump -T "$bundle"/*_gpu "$bundle"/refinery* "$bundle"/lib/* |
    grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)

tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$(dirname "$bundle")" -czf "$bundle.tar.gz" \
    "$(basename "$bundle")"
kib=$(du -sk --apparent-size "$bundle" | cut -f1)
packed=$(du -sk --apparent-size "$bundle.tar.gz" | cut -f1)
say "$bundle: $kib KiB, $bundle.tar.gz: $packed KiB; of commit $commit" \
    "It needs a C library of ${libc#GLIBC_} or newer and a driver of $("$bundle/refinery-conformance" \
        /nonexistent 2>/dev/null | grep -oE 'CUDA [0-9]+ or newer' || echo 'the same CUDA')." \
    "Copy it to a machine with an NVIDIA GPU, and there:  ./run.sh"
[ "$kib" -le $MOST_KIB ] || fail 1 "that is more than the $MOST_KIB KiB that a bundle may have"
