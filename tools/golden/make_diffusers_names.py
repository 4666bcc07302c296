"""Names and shapes of SDXL's tensors as diffusers and transformers build them.

    refinery synth --arch tiny --seed 7 --dtype f32 tiny7.safetensors
    python tools/golden/make_diffusers_names.py tiny7.safetensors tests/golden/diffusers_names.txt

Every line: a folder, a name and its shape, sorted.  The tiny model's are listed; of the full one's
(2641, built without memory) and of the refiner's stand the number and a hash of the same lines
(FNV-1a, 64 bits).
"""
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import sdxl_modules as sdxl


def tiny(path):
    parts = sdxl.read_parts(path)
    return {"unet": sdxl.build_unet(parts[sdxl.UNET], torch.float32),
            "text_encoder": sdxl.build_clip_l(parts[sdxl.CLIP_L], torch.float32),
            "text_encoder_2": sdxl.build_clip_g(parts[sdxl.CLIP_G], torch.float32),
            "vae": sdxl.build_vae(parts[sdxl.VAE], torch.float32)}


def full():
    """SDXL base's own sizes (sd_xl_base.yaml)."""
    clip = dict(vocab_size=49408, max_position_embeddings=77)
    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel(
                block_out_channels=[320, 640, 1280], layers_per_block=2,
                down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
                up_block_types=["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"],
                transformer_layers_per_block=[1, 2, 10], cross_attention_dim=2048,
                attention_head_dim=[5, 10, 20], use_linear_projection=True,
                addition_embed_type="text_time", addition_time_embed_dim=256,
                projection_class_embeddings_input_dim=2816),
            "text_encoder": CLIPTextModel(CLIPTextConfig(
                hidden_size=768, intermediate_size=3072, num_hidden_layers=12, **clip)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(
                hidden_size=1280, intermediate_size=5120, num_hidden_layers=32,
                projection_dim=1280, **clip)),
            "vae": AutoencoderKL(
                block_out_channels=[128, 256, 512, 512], layers_per_block=2,
                down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4)}


def refiner():
    """Stability's refiner (sd_xl_refiner.yaml)."""
    parts = full()
    del parts["text_encoder"]
    with torch.device("meta"):
        parts["unet"] = UNet2DConditionModel(
            block_out_channels=[384, 768, 1536, 1536], layers_per_block=2,
            down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                              "DownBlock2D"],
            up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            transformer_layers_per_block=4, cross_attention_dim=1280,
            attention_head_dim=[6, 12, 24, 24], use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2560)
    return parts


def lines(modules):
    return sorted(f"{folder} {name} {'x'.join(map(str, t.shape))}\n"
                  for folder, module in modules.items()
                  for name, t in module.state_dict().items() if not sdxl.UNUSED.search(name))


def fnv(text):
    h = 0xcbf29ce484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001b3 % 2**64
    return h


def main(checkpoint, out):
    with open(out, "w") as f:
        for name, modules in (("full", full()), ("refiner", refiner())):
            whole = lines(modules)
            f.write(f"{name} {len(whole)} {fnv(''.join(whole)):016x}\n")
        f.writelines(lines(tiny(checkpoint)))


main(*sys.argv[1:])
