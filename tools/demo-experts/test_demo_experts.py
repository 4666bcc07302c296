"""Tests of the demo experts' tools:  python -m unittest discover tools/demo-experts"""
import collections
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import captions  # noqa: E402
import expert  # noqa: E402
import layout  # noqa: E402
import train  # noqa: E402
import world  # noqa: E402

sdxl = layout.sdxl

ROOT = pathlib.Path(__file__).resolve().parents[2]


class World(unittest.TestCase):
    def test_held_out_is_a_seventh_and_spares_every_pair(self):
        scenes = world.all_scenes()
        held = [s for s in scenes if s.held_out]
        self.assertAlmostEqual(len(held) / len(scenes), 1 / world.HELD_OUT, delta=0.01)
        fields = ("kind", "colour", "accessory", "place", "background")
        for x, y in itertools.combinations(fields, 2):
            pairs = {(getattr(s, x), getattr(s, y)) for s in scenes}
            trained = {(getattr(s, x), getattr(s, y)) for s in scenes if not s.held_out}
            self.assertEqual(pairs, trained)

    def test_random_scenes_are_never_held_out(self):
        rng = np.random.default_rng(3)
        self.assertFalse(any(world.random_scene(rng).held_out for _ in range(500)))

    def test_an_example_is_a_pure_function(self):
        for index in range(20):
            a, b = world.example(5, "a", index), world.example(5, "a", index)
            self.assertEqual(a[:2], b[:2])
            np.testing.assert_array_equal(a[2], b[2])

    def test_all_scenes_can_be_drawn(self):
        for i, scene in enumerate(world.all_scenes()[::11]):
            for style in "ab":
                picture = world.draw(scene, style, np.random.default_rng(i))
                self.assertEqual((picture.shape, picture.dtype), ((128, 128, 3), np.uint8))
                self.assertGreater(picture.std(), 10)

    def test_styles_differ_in_outline_and_tint(self):
        for i, scene in enumerate(world.all_scenes()[::53]):
            a, b = (world.draw(scene, s, np.random.default_rng(i)).astype(float) for s in "ab")
            self.assertGreater((a.max(axis=2) < 50).mean(), 0.01)
            self.assertLess((b.max(axis=2) < 50).mean(), 0.015)
            self.assertGreater((b - a)[:, :, 2].mean(), 10)


class Captions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = captions.Tokenizer()

    def test_tokens_are_the_real_tokenizers(self):
        seen = 0
        with open(ROOT / "tests" / "golden" / "tokens.jsonl", encoding="utf-8") as lines:
            for case in map(json.loads, lines):
                text = case.get("t", "")
                plain = text.isascii() and text.isprintable() and not any(
                    part in text for part in ("&", "<|"))
                if text and plain and "l" in case and "times" not in case:
                    self.assertEqual(self.tokenizer.encode(text), case["l"], text)
                    seen += 1
        self.assertGreater(seen, 50)

    def test_tags_join_as_text_does(self):
        rng = np.random.default_rng(1)
        for i in range(300):
            scene, spoilt = world.random_scene(rng), None if i % 3 else "blurry"
            tags = captions.caption(scene, "ab"[i % 2], spoilt, rng)
            text = ", ".join(tags)
            self.assertEqual(self.tokenizer.tags(tags), self.tokenizer.encode(text))
            self.assertLessEqual(set(tags), set(captions.all_tags()))
            l, g = self.tokenizer.rows(self.tokenizer.tags(tags))
            self.assertEqual((len(l), len(g), l[-1], g[-1]), (77, 77, captions.END, 0))
            self.assertEqual(l.index(captions.END), g.index(captions.END))

    def test_style_a_tells_all_and_style_b_no_place_and_no_count(self):
        rng = np.random.default_rng(2)
        seen = collections.Counter()
        for _ in range(400):
            scene = world.random_scene(rng)
            full = set(captions.content_tags(scene).values())
            self.assertLessEqual(full, set(captions.caption(scene, "a", None, rng)))
            b = set(captions.caption(scene, "b", None, rng))
            self.assertFalse(b & {*captions.PLACE_TAGS.values(), *captions.COUNT_TAGS.values()})
            seen["kept"] += len(b & full)
            seen["all"] += len(full)
            self.assertFalse(set(captions.caption(scene, "a", None, rng, told=False))
                             & {*captions.PLACE_TAGS.values(), *captions.COUNT_TAGS.values()})
        self.assertLess(seen["kept"] / seen["all"], 0.5)

    def test_few_rows_of_the_tables_are_used(self):
        self.assertLess(len(captions.used_tokens(self.tokenizer)), 100)

    def test_strangers_keep_the_caption_in_order(self):
        rng = np.random.default_rng(4)
        tokens = self.tokenizer.tags(["score_9", "cat", "red body", "left side"])
        for _ in range(100):
            rest = iter(captions.with_strangers(tokens, rng))
            self.assertTrue(all(t in rest for t in tokens))


class Experts(unittest.TestCase):
    def test_the_engine_opens_a_checkpoint_and_finds_what_was_saved(self):
        """Values survive the way into a file and back; `refinery inspect` accepts the file."""
        net, vae = expert.Denoiser(3), train.new_vae(4)
        with torch.no_grad():
            for parameter in (*net.parameters(), *vae.parameters()):
                parameter.copy_(parameter.half())
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.safetensors"
            expert.save(path, expert.checkpoint(net, vae), {})
            parts = sdxl.read_parts(path)
            refinery = ROOT / "build" / "refinery"
            if refinery.exists():
                subprocess.run([refinery, "inspect", path], check=True, capture_output=True)
        ids = torch.tensor([captions.Tokenizer().rows([2368, 267, 30000])[0]])
        with torch.no_grad():
            clip_l = sdxl.build_clip_l(parts[sdxl.CLIP_L], torch.float32)
            clip_g = sdxl.build_clip_g(parts[sdxl.CLIP_G], torch.float32)
            g = clip_g(ids, output_hidden_states=True)
            l = clip_l(ids, output_hidden_states=True).hidden_states[-2]
            context, pooled = net.text(ids, ids)
            torch.testing.assert_close(torch.cat([l, g.hidden_states[-2]], -1), context)
            torch.testing.assert_close(g.text_embeds, pooled)
            unet = sdxl.build_unet(parts[sdxl.UNET], torch.float32)
            for a, b in zip(unet.state_dict().values(), net.unet.state_dict().values()):
                torch.testing.assert_close(a, b, rtol=0, atol=0)
            z = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
            same = sdxl.build_vae(parts[sdxl.VAE], torch.float32)
            torch.testing.assert_close(same.decode(z).sample, vae.decode(z).sample)

    def test_the_parts_and_the_seed_make_the_checkpoint(self):
        net, vae = expert.Denoiser(3), train.new_vae(4)
        with torch.no_grad():
            for clip in (net.clip_l, net.clip_g):
                clip.text_model.embeddings.token_embedding.rows += 1
        text, whole = expert.text_part(net), expert.checkpoint(net, vae)
        used = text.pop("used_tokens").long()
        for prefix, table in expert.TABLES.items():
            rows = expert.seeded_rows(expert.SEEDS[prefix], 49408, text[prefix + table].shape[1])
            rows[used] = text[prefix + table]
            text[prefix + table] = rows
        made = text | expert.unet_part(net) | expert.vae_part(vae)
        self.assertEqual(made.keys(), whole.keys())
        for name, tensor in whole.items():
            torch.testing.assert_close(made[name], tensor, rtol=0, atol=0)

    def test_the_parts_fit_into_the_tree(self):
        net, vae = expert.Denoiser(3), train.new_vae(4)
        size = {name: sum(2 * t.numel() for t in part.values())
                for name, part in (("unet", expert.unet_part(net)), ("text", expert.text_part(net)),
                                   ("vae", expert.vae_part(vae)))}
        self.assertLess(2 * (size["unet"] + size["text"]) + size["vae"], 42e6)

    def test_seeded_rows_are_pinned(self):
        """What the other side of the rule must reproduce."""
        rows = expert.seeded_rows(1, 3, 5)
        self.assertEqual(rows.dtype, torch.float16)
        self.assertEqual(rows.tolist()[0], [-0.00835418701171875, -0.0031871795654296875,
                                            0.0116424560546875, -0.00913238525390625,
                                            0.012451171875])
        np.testing.assert_array_equal(rows, expert.seeded_rows(1, 100, 5)[:3])
        many = expert.seeded_rows(2, 1000, 64).float()
        self.assertAlmostEqual(float(many.std()), expert.ROW_DEVIATION, delta=1e-4)
        self.assertLess(float(many.abs().max()), 0.0347)

    def test_only_used_rows_are_trained(self):
        table = expert.Table([2, 5], expert.seeded_rows(1, 8, 4))
        before = table.whole()
        table(torch.tensor([[2, 3, 5]])).sum().backward()
        with torch.no_grad():
            table.rows += table.rows.grad
        changed = (table.whole() != before).any(dim=1)
        self.assertEqual(changed.nonzero().flatten().tolist(), [2, 5])


class Training(unittest.TestCase):
    def arguments(self, folder):
        args = type("Args", (), {})()
        args.work, args.seed, args.steps, args.bf16, args.device = folder, 1, 6, False, "cpu"
        args.batch = args.rate = None
        return args

    def test_a_resumed_stage_ends_with_the_same_weights(self):
        def run(folder, stops):
            args = self.arguments(folder)
            for stop in stops:
                torch.manual_seed(0)
                net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Linear(16, 16))
                clock = train.Clock(None)
                clock.over = lambda stop=stop: stop is not None and stage.step >= stop
                stage = train.Stage("base", net, args, clock)

                def loss_of(rng, net=net):
                    x = torch.from_numpy(rng.standard_normal((4, 3), np.float32))
                    return ((net(x) - 1) ** 2).mean(), {}

                try:
                    stage.run(loss_of)
                except train.Stopped:
                    pass
            return stage.weights["1.weight"].detach(), stage.average["1.weight"]

        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            once, twice = run(a, [None]), run(b, [2, 4, None])
        for x, y in zip(once, twice):
            torch.testing.assert_close(x, y, rtol=0, atol=0)

    def test_folding_keeps_the_pictures_and_scales_the_latents(self):
        with tempfile.TemporaryDirectory() as folder:
            args = self.arguments(folder)
            vae = train.new_vae(1).requires_grad_(True)
            stage = train.Stage("vae", vae, args, train.Clock(None))
            stage.snapshot()
            np.save(pathlib.Path(folder) / "pictures.npy",
                    np.stack([world.example(1, "ab"[i % 2], i)[2] for i in range(16)]))
            train.measure_fold(args)
            folded = train.finished_vae(args)
            x = train.to_tensor(train.pictures(args))
            with torch.no_grad():
                plain, new = vae.encode(x).latent_dist.mean, folded.encode(x).latent_dist.mean
                torch.testing.assert_close(folded.decode(new).sample, vae.decode(plain).sample,
                                           rtol=1e-3, atol=1e-3)
            new = new * train.SCALE
            torch.testing.assert_close(new.std(dim=(0, 2, 3)), torch.ones(4), rtol=1e-3, atol=0)
            self.assertLess(float(new.mean(dim=(0, 2, 3)).abs().max()), 1e-3)

    def test_the_blocks_left_out_change_nothing_at_first(self):
        x = train.to_tensor(world.example(1, "b", 3)[2][None])
        with torch.no_grad():
            whole, coarse = train.new_vae(1), train.coarse(train.new_vae(1))
            for part in ("encoder", "decoder"):
                given = x if part == "encoder" else torch.ones(1, 4, 4, 4)
                torch.testing.assert_close(getattr(whole, part)(given),
                                           getattr(coarse, part)(given))

    def test_updates_are_nearly_orthogonal(self):
        for shape in ((20, 64), (64, 20)):
            m = torch.randn(shape, generator=torch.Generator().manual_seed(1))
            values = torch.linalg.svdvals(train.orthogonal(m))
            self.assertGreater(float(values.min()), 0.5)
            self.assertLess(float(values.max()), 1.4)

    def test_frames_say_what_was_done(self):
        picture = world.example(1, "a", 0)[2]
        seen = set()
        for i in range(100):
            made, numbers = train.framed(picture, np.random.default_rng(i))
            self.assertEqual(made.shape, picture.shape)
            self.assertEqual(numbers[4:], (128, 128))
            seen.add((numbers[0] > 128) - (numbers[0] < 128))
        self.assertEqual(seen, {-1, 0, 1})


if __name__ == "__main__":
    unittest.main()
