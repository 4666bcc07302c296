# PTX: a loop that holds mma.sync, and no other loop, does no f32 arithmetic of its own.
# A loop is what lies between a label and a branch back to it.  Where ex2 is in the loop too, it may
# do what online softmax needs, and no multiply-add.

# For a block of keys, of one thread: times scale, minus max, into the sum; output times shrink; max
# against its slack, its step, the sum times shrink.
function softmax(scores, outputs, rows) { return 3 * scores + outputs + 3 * rows }

function allowed(    m) {
    if (kernel ~ /attention_wide_kernel/) return softmax(16, 128, 4)
    if (!match(kernel, /attention_narrow_kernelI[0-9a-z]+Li[0-9]+/)) return 0
    m = substr(kernel, RSTART, RLENGTH)
    sub(/.*Li/, "", m) # the template argument M
    return softmax(32 * m, 32 * m, 2 * m)
}

function check_loop(from, to, label,    i, mma, scalar, fused, weights) {
    for (i = from; i <= to; i++) {
        if (line[i] ~ /mma\.sync/) mma++
        if (line[i] ~ /ex2\./) weights++
        if (line[i] ~ /[ \t](fma|mad)(\.[a-z]+)*\.f32[ \t]/) fused++
        if (line[i] ~ /[ \t](fma|mul|add|sub|mad|div)(\.[a-z]+)*\.f32[ \t]/) scalar++
    }
    if (!mma) return
    loops++
    if (fused || scalar > (weights ? allowed() : 0)) {
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
