"""Packs two experts into the parts that the tree holds:  python pack.py BASE REFINER OUT

What both checkpoints have alike is stored once; of the token tables only the rows that captions
use.  tools/assemble/assemble.h tells the format; refinery-assemble makes the checkpoints again,
byte for byte, which this script does not take for granted: it refuses tables whose other rows are
not those of the seed.
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file

import captions
import expert

LIMIT = 42_000_000  # bytes


def kept(name, table, seed, used):
    """The used rows of a token table; the others must come from the seed."""
    seeded = expert.seeded_rows(seed, *table.shape)
    other = torch.ones(len(table), dtype=torch.bool)
    other[used] = False
    if not torch.equal(table[other], seeded[other]):
        sys.exit(f"{name}: rows that no caption uses are not those of seed {seed}")
    return table[used].contiguous()


def pack(base, refiner):
    used = torch.tensor(captions.used_tokens(captions.Tokenizer()))
    tables = {prefix + name: expert.SEEDS[prefix] for prefix, name in expert.TABLES.items()}
    parts = {"rows": used}
    if base.keys() != refiner.keys():
        sys.exit("the two checkpoints have different tensors")
    for name, tensor in base.items():
        both = {"base": tensor, "refiner": refiner[name]}
        if any(t.dtype != torch.float16 for t in both.values()):
            sys.exit(f"{name} is not F16")
        if name in tables:
            parts["seeded/" + name] = torch.tensor([tables[name], len(tensor)])
            both = {who: kept(name, t, tables[name], used) for who, t in both.items()}
        if torch.equal(both["base"].view(torch.int16), both["refiner"].view(torch.int16)):
            both = {"both": both["base"]}
        parts |= {f"{who}/{name}": t for who, t in both.items()}
    return parts


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    parts = pack(load_file(sys.argv[1]), load_file(sys.argv[2]))
    save_file(parts, sys.argv[3], metadata={"format": "pt", "made by": "pack.py"})
    size = pathlib.Path(sys.argv[3]).stat().st_size
    print(f"{len(parts)} tensors, {size} bytes")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT} bytes")


if __name__ == "__main__":
    main()
