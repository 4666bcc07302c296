# PTX: a loop that holds mma.sync, and no other loop, does no f32 arithmetic of its own.
# A loop is what lies between a label and a branch back to it.

function check_loop(from, to, label,    i, mma, scalar) {
    for (i = from; i <= to; i++) {
        if (line[i] ~ /mma\.sync/) mma++
        if (line[i] ~ /[ \t](fma|mul|add|sub|mad|div)(\.[a-z]+)*\.f32[ \t]/) scalar++
    }
    if (!mma) return
    loops++
    if (scalar) {
        printf "%s: %s: %d mma and %d scalar instructions on f32\n", kernel, label, mma, scalar
        bad = 1
    }
}

function end_of_kernel() {
    if (uses_mma && !loops) {
        print kernel ": mma, but in no loop that this script can see"
        bad = 1
    }
    loops = uses_mma = 0
}

/\.entry/ { end_of_kernel(); kernel = $2; delete at }
/mma\.sync/ { uses_mma = 1 }
{ line[NR] = $0 }
/^\$[A-Za-z0-9_]+:/ { label = $1; sub(/:.*/, "", label); at[label] = NR }
/[ \t]bra(\.uni)?[ \t]/ {
    target = $NF
    sub(/;/, "", target)
    if (target in at) check_loop(at[target], NR, target)
}
END { end_of_kernel(); exit bad }
