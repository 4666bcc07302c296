# Soft limits, to be argued about by people: reported, never failed.
# A function is what stands between a brace in the first column and its closing twin, which
# .clang-format guarantees.

function report(line, what) { printf "long: %s:%d: %s\n", FILENAME, line, what }

function end_of_file() { if (lines > 600) printf "long: %s: %d lines (600)\n", name, lines }

FNR == 1 { if (NR > 1) end_of_file(); name = FILENAME; opened = 0 }
{
    lines = FNR
    width = $0
    gsub(/[\200-\277]/, "", width) # characters, not bytes
    if (length(width) > 100) report(FNR, length(width) " columns (100)")
}
/^\{/ { opened = FNR }
/^\}/ {
    if (opened && FNR - opened - 1 > 80) report(opened, "function of " FNR - opened - 1 " lines (80)")
    opened = 0
}
END { end_of_file() }
