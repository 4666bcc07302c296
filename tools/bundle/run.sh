#!/bin/sh
# run.sh [--seconds N] [--experts FOLDER] [--out FOLDER] [STEP...]
#
# Runs what only a GPU can confirm, in the order of steps.txt, and goes on after a step that fails.
# Leaves results-DEVICE-DATE/ with summary.md, a log of each step, the conformance kit's recordings
# and the benches' figures.  Nothing is installed.
#
#   --seconds N        for all steps together (460); what comes too late is not run
#   --experts FOLDER   renders with base.safetensors and refiner.safetensors of that folder; without
#                      it, two experts of random weights are made
#   --out FOLDER       where the folder of results is made (here)
#   STEP...            these only; "gemm" is all of gemm.values, gemm.sanitizer and gemm.time.
#                      Steps that end in ".full" take long, and run only if they are named in full
#
# Exit code: 0 all passed, 1 a step failed or was not reached, 77 there is no GPU to run on.
set -u

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# ---- steps that are more than one program: run.sh --do NAME ARGUMENT...

sanitize() {
    tool_path=$(command -v compute-sanitizer || command -v /usr/local/cuda/bin/compute-sanitizer) || {
        echo "skipped: there is no compute-sanitizer on this machine"
        return 77
    }
    worst=0
    for tool in memcheck racecheck synccheck initcheck; do
        echo "== $tool: $*"
        RF_GPU_UNFILLED=1 "$tool_path" --tool "$tool" --error-exitcode 9 --print-limit 20 "$@" || {
            echo "== $tool: exit code $?"
            worst=1
        }
    done
    [ $worst = 1 ] || echo "memcheck, racecheck, synccheck and initcheck found nothing"
    return $worst
}

# two_experts FOLDER ARCH: base.safetensors and refiner.safetensors of random weights
two_experts() {
    mkdir -p "$1"
    ./refinery synth --quiet --arch "$2" --seed 1 "$1/base.safetensors" &&
        ./refinery synth --quiet --arch "$2" --seed 2 "$1/refiner.safetensors"
}

# The same picture twice, byte for byte.
render() {
    results=$1
    experts=${2:-$1/experts}
    [ -n "$2" ] || two_experts "$experts" tiny || return
    for picture in render again; do
        ./refinery render --device cuda -m "$experts/base.safetensors" \
            -r "$experts/refiner.safetensors" --recipe pony-animagine --size 128x128 --seed 1 \
            --prompt "cat, red body, hat, sea" --output "$results/$picture.png" || return
    done
    rm -rf "$results/experts"
    cmp "$results/render.png" "$results/again.png" || return
    rm "$results/again.png"
    echo "render.png, twice the same bytes"
}

# network RESULTS EXPERTS ARCH: a UNet call and the flip; EXPERTS, if not empty, instead of ARCH
network() {
    experts=${2:-$1/$3-experts}
    if [ -z "$2" ]; then
        mkdir -p "$experts"
        free=$(df -Pk "$experts" | awk 'END { print int($4 / 1048576) }')
        if [ "$3" = sdxl ] && [ "$free" -lt 16 ]; then
            rm -rf "$experts"
            echo "skipped: two experts of full size take 14 GB; $free GiB are free in $1"
            return 77
        fi
        two_experts "$experts" "$3" || return
    fi
    ./refinery-bench network "$experts/base.safetensors" "$experts/refiner.safetensors" \
        --csv "$1/network-$3.csv"
    code=$?
    rm -rf "$1/$3-experts"
    return $code
}

# ---- arguments

cd "$(dirname "$0")" || exit 1
case "$*" in
"--do sanitize "*)
    shift 2
    sanitize "$@"
    exit
    ;;
"--do render "*)
    render "$3" "$4"
    exit
    ;;
"--do network "*)
    network "$3" "$4" "$5"
    exit
    ;;
esac
seconds=460
experts=
out=.
while [ $# -gt 0 ]; do
    case $1 in
    --seconds | --experts | --out)
        [ $# -gt 1 ] || usage
        case $1 in
        --seconds) seconds=$2 ;;
        --experts) experts=$2 ;;
        --out) out=$2 ;;
        esac
        shift 2
        ;;
    -*) usage ;;
    *) break ;;
    esac
done
for name in "$@"; do
    grep -qE "^$name(\.| )" steps.txt || {
        echo "run.sh: there is no step '$name'; there are:" >&2
        sed -n 's/^\([a-z][^ ]*\) .*/    \1/p' steps.txt >&2
        exit 2
    }
done
export OMP_WAIT_POLICY=passive
began=$(date +%s)

# ---- the device: its name is part of the folder's, and who opens it knows it

probe=$(mktemp -d) || exit 1
said=$(./refinery-conformance "$probe" 2>&1)
code=$?
rm -rf "$probe"
if [ $code = 77 ]; then
    printf '%s\n' "$said"
    exit 77
fi
device=$(printf '%s\n' "$said" | sed -n 's/^cuda:[0-9]* \(.*\), [0-9-]*$/\1/p')
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
results=$out/results-$(printf '%s' "${device:-unknown}" | tr -cs 'A-Za-z0-9' '-')-$(date -u +%F)
rm -rf "$results"
mkdir -p "$results/logs" || exit 1
results=$(cd "$results" && pwd)
sanitize="./run.sh --do sanitize"
render="./run.sh --do render"
network="./run.sh --do network"
export results experts sanitize render network

# ---- steps

wanted() { # wanted STEP NAME...: no names, or one that the step begins with
    step=$1
    shift
    for name in "$@"; do
        case $step in
        "$name") return 0 ;;
        *.full) ;;
        "$name".*) return 0 ;;
        esac
    done
    case $step in *.full) return 1 ;; esac
    [ $# -eq 0 ]
}

say_row() { # say_row STATE STEP SECONDS LOG
    last=$(grep -v '^ *$' "$4" 2>/dev/null | tail -1 | tr '|' ',' | cut -c 1-200)
    printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "$last" >>"$results/summary.md"
    printf '%-10s %-22s %4s s  %s\n' "$1" "$2" "$3" "$last"
}

run_step() { # run_step STEP LIMIT COMMAND
    log=$results/logs/$1.log
    left=$((began + seconds - $(date +%s)))
    limit=$(($2 < left ? $2 : left))
    if [ $limit -le 0 ]; then
        : >"$log"
        say_row "not run" "$1" 0 "$log"
        return 1
    fi
    from=$(date +%s)
    timeout -k 5 $limit sh -fc "$3" >"$log" 2>&1 </dev/null
    code=$?
    took=$(($(date +%s) - from))
    case $code in
    0) say_row passed "$1" $took "$log" ;;
    77) say_row skipped "$1" $took "$log" ;;
    124 | 137)
        echo "took longer than $limit s" >>"$log"
        say_row "timed out" "$1" $took "$log"
        return 1
        ;;
    *)
        say_row FAILED "$1" $took "$log"
        return 1
        ;;
    esac
}

printf '%s\n\n| state | step | seconds | what it says last |\n| --- | --- | --- | --- |\n' \
    "# ${device:-unknown GPU}, driver ${driver:-unknown}, $(date -u +%F), commit $(cat COMMIT)" \
    >"$results/summary.md"
bad=0
while read -r step limit command; do
    case $step in "" | "#"*) continue ;; esac
    wanted "$step" "$@" || continue
    run_step "$step" "$limit" "$command" || bad=1
done <steps.txt
{
    echo
    echo "$(($(date +%s) - began)) seconds. Rows of docs/gpu-checks.md have the names of these steps;" \
        "what a row records: device, driver, date, commit and the name of the file made of this."
    echo "The recordings in conformance/ belong in tests/emulator/conformance/recorded/."
} >>"$results/summary.md"
echo "results: $results"
exit $bad
