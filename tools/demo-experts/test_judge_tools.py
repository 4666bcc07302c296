"""Tests of the judge's training and the packer: python -m unittest discover tools/demo-experts"""
import pathlib
import sys
import unittest

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import captions  # noqa: E402
import expert  # noqa: E402
import ground_truth  # noqa: E402
import pack  # noqa: E402
import train_judge  # noqa: E402
import world  # noqa: E402

sdxl = expert.sdxl
TABLE = sdxl.CLIP_L + expert.TABLES[sdxl.CLIP_L]


class Judge(unittest.TestCase):
    def test_is_taught_no_held_out_scene_that_a_prompt_asks_for(self):
        held = {(world.KINDS.index(s.kind), list(world.COLOURS).index(s.colour),
                 world.ACCESSORIES.index(s.accessory), s.place,
                 world.BACKGROUNDS.index(s.background))
                for s in world.all_scenes() if s.held_out}
        seen = 0
        for index in range(400):
            rng = np.random.default_rng([train_judge.SEED, index])
            slots, background = train_judge.random_slots(rng)
            there = [i for i, what in enumerate(slots) if what]
            if len(there) == 1:
                seen += (*slots[there[0]], list(world.PLACES)[there[0]], background) in held
        # Scenes that nobody asks for are random: a few of them happen to be held out.
        self.assertLess(seen, 400 * 0.3 * 0.375 / world.HELD_OUT * 2)

    def test_folded_convolution_is_the_normalised_one(self):
        torch.manual_seed(1)
        judge = train_judge.Judge()
        for norm in judge.norms:
            torch.nn.init.normal_(norm.weight)
            torch.nn.init.normal_(norm.bias)
            torch.nn.init.normal_(norm.running_mean)
        judge.eval()
        x, tensors = torch.randn(1, 3, 32, 32), judge.tensors()
        with torch.no_grad():
            wanted = judge.norms[0](judge.convs[0](x))
            made = F.conv2d(x, tensors["conv0.weight"], tensors["conv0.bias"], 2, 1)
        self.assertLess(float((wanted - made).abs().max()), 1e-4)

    def test_mirror_swaps_left_and_right(self):
        labels = torch.arange(13)[None]
        _, told = train_judge.mirrored(torch.zeros(1, 3, 4, 4), labels)
        self.assertEqual(told[0].tolist(), [0, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4])


class GroundTruth(unittest.TestCase):
    def test_lines_name_the_scene_and_all_its_tags(self):
        for number, scene in enumerate(ground_truth.held_out()[:50]):
            names, prompt = ground_truth.line(scene, number).rstrip("\n").split("\t")
            self.assertEqual(names.split()[0], scene.kind)
            self.assertEqual(set(prompt.split(", ")), set(captions.content_tags(scene).values()))


class Pack(unittest.TestCase):
    def checkpoints(self):
        seeded = expert.seeded_rows(expert.SEEDS[sdxl.CLIP_L], 49408, 64)
        one, two = seeded.clone(), seeded.clone()
        used = captions.used_tokens(captions.Tokenizer())
        two[used] += 1
        same, other = torch.ones(3).half(), torch.zeros(2).half()
        return ({TABLE: one, "same": same, "other": other},
                {TABLE: two, "same": same.clone(), "other": other + 1})

    def test_keeps_what_differs_apart_and_the_rest_once(self):
        base, refiner = self.checkpoints()
        parts = pack.pack(base, refiner)
        self.assertEqual(set(parts), {"rows", "seeded/" + TABLE, "base/" + TABLE,
                                      "refiner/" + TABLE, "both/same", "base/other",
                                      "refiner/other"})
        self.assertEqual(len(parts["base/" + TABLE]), len(parts["rows"]))

    def test_refuses_trained_rows_that_no_caption_uses(self):
        base, refiner = self.checkpoints()
        refiner[TABLE][captions.COMMA + 1] += 1
        self.assertNotIn(captions.COMMA + 1, captions.used_tokens(captions.Tokenizer()))
        with self.assertRaises(SystemExit):
            pack.pack(base, refiner)


if __name__ == "__main__":
    unittest.main()
