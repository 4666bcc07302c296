# Sanitizer reports, less the leaks of others: prints what is left, nothing if all is well.
#
# Criterion and OpenMP keep small blocks until the process ends.  A suppression file would match
# any frame of a stack, and every test of ours stands below Criterion's frames; so a leak counts as
# theirs only when their library itself called the allocator (frame #1).

function flush_leak() {
    if (leak != "" && !theirs) printf "%s", leak
    leak = ""
}

FNR == 1 { flush_leak(); in_map = 0 }
/^(Direct|Indirect) leak of / { flush_leak(); theirs = 0; leak = FILENAME ": " $0 "\n"; next }
leak != "" && /^ +#/ {
    if ($1 == "#1") theirs = /lib(criterion|boxfort|omp|gomp)\.so/
    leak = leak $0 "\n"
    next
}
{ flush_leak() }
/^$|^=+$|ERROR: LeakSanitizer|byte\(s\) leaked in/ { next }
/^Shadow bytes/ { in_map = 1 } # the rest of an ASan report is a picture of memory
!in_map { print }
END { flush_leak() }
