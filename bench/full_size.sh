#!/bin/sh
# Two full-size experts through the program itself: what the issue of the day promises about real
# checkpoints, with the figures that belong to it.
#
#     bench/full_size.sh FOLDER [SIZE] [STEPS]
#
# Writes two random SDXL checkpoints (7 GB each) into FOLDER unless they are there, renders base
# alone, refiner alone, a switched picture, and both ends of --switch-at, compares bytes, and prints
# seconds and peak memory of each render.  Needs GNU time and as much memory as the plan says.
set -eu
folder=${1:?usage: bench/full_size.sh FOLDER [SIZE] [STEPS]}
size=${2:-512}
steps=${3:-2}
program=build/refinery

for seed in 1 2; do
    [ -f "$folder/full$seed.safetensors" ] ||
        $program synth --arch sdxl --seed $seed "$folder/full$seed.safetensors"
done
a=$folder/full1.safetensors
b=$folder/full2.safetensors

# render NAME OPTION...: one picture without metadata, and a line of figures
render() {
    name=$1
    shift
    /usr/bin/time -f "$name: %e s, peak %M KB" $program render -q --no-metadata --overwrite \
        --size "${size}x$size" --steps "$steps" --seed 1 --prompt "1girl, reading under a tree" \
        --negative "lowres" --output "$folder/$name.png" "$@"
}

$program render --base "$a" --refiner "$b" --size "${size}x$size" --steps "$steps" --dry-run
render base --base "$a"
render refiner --base "$b"
render switched --base "$a" --refiner "$b" --switch-at 0.5
render switch_1 --base "$a" --refiner "$b" --switch-at 1
render switch_0 --base "$a" --refiner "$b" --switch-at 0
cmp "$folder/base.png" "$folder/switch_1.png" && echo "--switch-at 1 is the base alone, bit for bit"
cmp "$folder/refiner.png" "$folder/switch_0.png" && echo "--switch-at 0 is the refiner alone, bit for bit"
if cmp -s "$folder/base.png" "$folder/switched.png"; then
    echo "the switched picture equals the base's: the switch did nothing" >&2
    exit 1
fi
