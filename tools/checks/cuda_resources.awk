# From ptxas -v, demangled: a line per kernel with registers, threads, shared memory and blocks per
# multiprocessor.  Limits: CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability"; registers are given out in multiples of 8 a thread, and a block keeps 1 KiB of shared
# memory for itself.

function least(a, b) { return a < b ? a : b }

# Dynamic shared memory is not in the binary; the tile's template arguments are in the name.
function read_name(name,    part, n) {
    threads = name ~ /layernorm|lincomb|timestep/ ? 128 : 256
    shared = name ~ /groupnorm_slab/ ? 20 * 1024 : 0 # of the widest call: 2560 channels
    if (name ~ /attention_narrow/) {
        threads = 128
        shared = 48 * 1024
    }
    if (name ~ /wide_shape</) {
        sub(/.*wide_shape</, "", name)
        split(name, part, /[,>]/)
        shared = (73 + 8 * part[1] * part[2]) * 1024
    }
    if (name ~ /tile_shape</) {
        table = name ~ /conv_kernel/ ? 8 : 0 # bytes a row of the tile: where its taps lie
        sub(/.*tile_shape</, "", name)
        n = split(name, part, /[,>]/)
        threads = 32 * part[3] * part[4]
        shared = (part[1] + part[2]) * 128 * part[5] + part[1] * table
    }
    if (name ~ /embedding/) threads = 128
    if (name ~ /pixels/) {
        threads = 512
        shared = threads * 12
    }
    if (name ~ /latent_rgb/) shared = threads * 4 + 17 * 4 # pixels; map, scale and row
}

BEGIN {
    small = arch ~ /sm_(86|89|120)/
    shared_of_sm = (small ? 100 : arch == "sm_80" ? 164 : 228) * 1024
    threads_of_sm = small ? 1536 : 2048
}

/Compiling entry function/ {
    kernel = $0
    sub(/.*entry function '/, "", kernel)
    sub(/' for .*/, "", kernel)
    sub(/^void /, "", kernel)
    sub(/\([^(]*\)$/, "", kernel)
    gsub(/, /, ",", kernel)
}

/Used [0-9]+ registers/ {
    registers = $0
    sub(/.*Used /, "", registers)
    registers += 0
    read_name(kernel)
    blocks = int(65536 / (int((registers + 7) / 8) * 8 * threads))
    blocks = least(blocks, int(threads_of_sm / threads))
    blocks = least(blocks, int(shared_of_sm / (shared + 1024)))
    printf "%-7s %4d %5d %7d %3d  %s\n", arch, registers, threads, shared, blocks, kernel
}
