#!/bin/sh
# Each header compiles alone, and twice, as C17; those of kernels/ and engine/ as C++17 too, because
# CUDA sources and other people's programs read them.  Only the insides of the cpu levels
# (kernels/cpu_*.h: restrict, target attributes) stay C.
set -eu
. tools/checks/common.sh
bad=0
includes="-I. $(pkg-config --cflags criterion libutf8proc jansson spng libcrypto)"
cudnn=
for folder in /usr/local/cuda/include /usr/include /usr/local/include; do
    [ -f $folder/cudnn.h ] && cudnn="-isystem $folder" && break
done
includes="$includes $cudnn"
for header in $(sources | grep '\.h$'); do
    case $header in # the vendor level's insides: with cuDNN's headers or not at all
    kernels/device/cudnn.h | tests/vendor/fake_cudnn.h) [ "$cudnn" ] || continue ;;
    esac
    # The declaration at the end: a header of macros alone would be an empty file to ISO C.
    unit=$(printf '#include "%s"\n#include "%s"\nextern int unit;' "$header" "$header")
    # shellcheck disable=SC2086 # a list of words
    say "$unit" | gcc -x c -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow -Wvla -Werror \
        -fopenmp -fsyntax-only $includes - || { say "$header: not alone as C17"; bad=1; }
    case $header in
    kernels/cpu_*.h) ;;
    kernels/* | engine/*)
        # shellcheck disable=SC2086
        say "$unit" | clang++ -x c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only $includes - ||
            { say "$header: not alone as C++17"; bad=1; }
        ;;
    esac
done
exit $bad
