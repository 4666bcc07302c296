/* Every spelling of every layer is known, means one layer alone, and the ones that other programs
 * get wrong are right. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/files/lora_names.h"
#include "engine/files/synth.h"

static rf_lora_names *names_of(const char *arch)
{
    rf_sdxl_arch   a;
    rf_lora_names *names = NULL;
    cr_assert_eq(rf_synth_arch(&a, arch, NULL), RF_OK);
    cr_assert_eq(rf_lora_names_create(&names, &a, NULL), RF_OK);
    return names;
}

/* name, canonical tensor, stretch of its rows */
static const struct {
    const char *name, *weight;
    int         row_part;
} rows[] = {
    {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
     RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", 0},
    {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
     RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", 0},
    {"lycoris_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0",
     RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.0.attn1.to_out.0.weight", 0},
    {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
     RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", 0},
    {"down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
     RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", 0},
    {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora",
     RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.0.attn1.to_out.0.weight", 0},
    {"diffusion_model.middle_block.1.transformer_blocks.0.ff.net.0.proj",
     RF_PREFIX_UNET "middle_block.1.transformer_blocks.0.ff.net.0.proj.weight", 0},
    {"lora_unet_mid_block_resnets_1_conv2", RF_PREFIX_UNET "middle_block.2.out_layers.3.weight", 0},
    /* A1111 looks for output_blocks.2.1.conv here, which is SD 1's */
    {"lora_unet_up_blocks_0_upsamplers_0_conv", RF_PREFIX_UNET "output_blocks.2.2.conv.weight", 0},
    {"lora_unet_output_blocks_2_2_conv", RF_PREFIX_UNET "output_blocks.2.2.conv.weight", 0},
    {"lora_unet_down_blocks_0_downsamplers_0_conv", RF_PREFIX_UNET "input_blocks.3.0.op.weight", 0},
    {"lora_unet_time_embedding_linear_1", RF_PREFIX_UNET "time_embed.0.weight", 0},
    {"lora_unet_label_emb_0_2", RF_PREFIX_UNET "label_emb.0.2.weight", 0},
    {"lora_unet_conv_in", RF_PREFIX_UNET "input_blocks.0.0.weight", 0},
    {"lora_unet_out_2", RF_PREFIX_UNET "out.2.weight", 0},
    {"lora_te1_text_model_encoder_layers_3_self_attn_out_proj",
     RF_PREFIX_CLIP_L "encoder.layers.3.self_attn.out_proj.weight", 0},
    {"text_encoder.text_model.encoder.layers.3.mlp.fc1",
     RF_PREFIX_CLIP_L "encoder.layers.3.mlp.fc1.weight", 0},
    {"lora_te2_text_model_encoder_layers_7_self_attn_k_proj",
     RF_PREFIX_CLIP_G "transformer.resblocks.7.attn.in_proj_weight", 1},
    {"text_encoder_2.text_model.encoder.layers.7.self_attn.v_proj",
     RF_PREFIX_CLIP_G "transformer.resblocks.7.attn.in_proj_weight", 2},
    {"lora_te2_text_model_encoder_layers_31_mlp_fc2",
     RF_PREFIX_CLIP_G "transformer.resblocks.31.mlp.c_proj.weight", 0},
    {"lora_te2_text_projection", RF_PREFIX_CLIP_G "text_projection", 0},
};

Test(lora_names, spellings_mean_their_layer)
{
    rf_lora_names *names = names_of("sdxl");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rf_lora_layer *layer = rf_lora_names_find(names, rows[i].name);
        cr_assert_not_null(layer, "%s", rows[i].name);
        cr_expect_str_eq(layer->weight, rows[i].weight);
        cr_expect_eq(layer->row_part, rows[i].row_part, "%s", rows[i].name);
        cr_expect_eq(rf_lora_part_of(rows[i].name), layer->part, "%s", rows[i].name);
    }
    cr_expect_null(rf_lora_names_find(names, "lora_unet_output_blocks_2_1_conv"), "is SD 1's");
    cr_expect_null(rf_lora_names_find(names, ""));
    rf_lora_names_destroy(names);
}

Test(lora_names, a_layer_knows_its_bias_and_its_cut)
{
    rf_lora_names       *names = names_of("sdxl");
    const rf_lora_layer *k =
        rf_lora_names_find(names, "lora_te2_text_model_encoder_layers_7_self_attn_k_proj");
    cr_expect_str_eq(k->bias, RF_PREFIX_CLIP_G "transformer.resblocks.7.attn.in_proj_bias");
    cr_expect(k->row_parts == 3 && k->dim[0] == 1280 && k->dim[1] == 1280 && k->ndim == 2);
    const rf_lora_layer *q =
        rf_lora_names_find(names, "unet.mid_block.attentions.0.transformer_blocks.9.attn1.to_q");
    cr_expect_null(q->bias);
    const rf_lora_layer *norm = rf_lora_names_find(names, "lora_unet_out_0");
    cr_expect(norm->is_norm && norm->dim[0] == 320);
    cr_expect_str_eq(norm->bias, RF_PREFIX_UNET "out.0.bias");
    const rf_lora_layer *conv = rf_lora_names_find(names, "lora_unet_out_2");
    cr_expect(conv->ndim == 4 && conv->dim[0] == 4 && conv->dim[1] == 320 && conv->dim[3] == 3);
    cr_expect_eq(rf_lora_names_find(names, "lora_te2_text_projection")->transposed, 1);
    rf_lora_names_destroy(names);
}

typedef struct census {
    const rf_lora_names *names;
    const char          *before;
    int                  all, twice, sgm_linear, te1, te2;
} census;

static int begins(const char *name, const char *front)
{
    return strncmp(name, front, strlen(front)) == 0;
}

static void count(void *user, const char *name, const rf_lora_layer *layer)
{
    census *c = user;
    c->all++;
    c->twice +=
        c->before && strcmp(c->before, name) == 0 && rf_lora_names_find(c->names, name) != layer;
    c->before = name;
    const int sgm = begins(name, "lora_unet_input_") || begins(name, "lora_unet_middle_") ||
                    begins(name, "lora_unet_output_");
    c->sgm_linear +=
        sgm && layer->ndim == 2 && (strstr(name, "transformer") || strstr(name, "_proj_"));
    c->te1 += begins(name, "lora_te1_") && strstr(name, "encoder_layers") && layer->ndim == 2;
    c->te2 += begins(name, "lora_te2_") && strstr(name, "encoder_layers") && layer->ndim == 2;
}

Test(lora_names, full_size_has_the_modules_that_kohya_trains)
{
    rf_lora_names *names = names_of("sdxl");
    census         c = {.names = names};
    rf_lora_names_each(names, count, &c);
    cr_expect_eq(c.twice, 0, "a spelling means two layers");
    cr_expect_eq(c.sgm_linear, 722);
    cr_expect_eq(c.te1, 72);
    cr_expect_eq(c.te2, 192);
    cr_expect_gt(c.all, 5000);
    rf_lora_names_destroy(names);
}

/* The refiner's: bigG alone, in another place; enlarging behind a level without attention. */
Test(lora_names, of_the_refiner)
{
    static const struct {
        const char *name, *weight;
    } refiner[] = {
        {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_3_attn2_to_k",
         RF_PREFIX_UNET "input_blocks.4.1.transformer_blocks.3.attn2.to_k.weight"},
        {"lora_unet_input_blocks_7_1_proj_in", RF_PREFIX_UNET "input_blocks.7.1.proj_in.weight"},
        {"lora_unet_down_blocks_2_downsamplers_0_conv",
         RF_PREFIX_UNET "input_blocks.9.0.op.weight"},
        {"lora_unet_down_blocks_3_resnets_1_conv1",
         RF_PREFIX_UNET "input_blocks.11.0.in_layers.2.weight"},
        {"lora_unet_up_blocks_0_upsamplers_0_conv", RF_PREFIX_UNET "output_blocks.2.1.conv.weight"},
        {"lora_unet_output_blocks_2_1_conv", RF_PREFIX_UNET "output_blocks.2.1.conv.weight"},
        {"lora_unet_up_blocks_2_upsamplers_0_conv", RF_PREFIX_UNET "output_blocks.8.2.conv.weight"},
        {"unet.up_blocks.1.attentions.2.proj_out",
         RF_PREFIX_UNET "output_blocks.5.1.proj_out.weight"},
        {"unet.mid_block.attentions.0.transformer_blocks.3.attn1.to_q",
         RF_PREFIX_UNET "middle_block.1.transformer_blocks.3.attn1.to_q.weight"},
        {"lora_te2_text_model_encoder_layers_7_self_attn_k_proj",
         RF_PREFIX_REFINER_CLIP_G "transformer.resblocks.7.attn.in_proj_weight"},
        {"lora_te2_text_projection", RF_PREFIX_REFINER_CLIP_G "text_projection"},
    };
    rf_lora_names *names = names_of("sdxl-refiner");
    census         c = {.names = names};
    for (size_t i = 0; i < sizeof refiner / sizeof *refiner; i++) {
        const rf_lora_layer *layer = rf_lora_names_find(names, refiner[i].name);
        cr_assert_not_null(layer, "%s", refiner[i].name);
        cr_expect_str_eq(layer->weight, refiner[i].weight);
    }
    cr_expect_null(rf_lora_names_find(names, "lora_unet_output_blocks_2_2_conv"), "is the base's");
    cr_expect_null(rf_lora_names_find(names, "lora_te1_text_model_encoder_layers_3_mlp_fc1"));
    rf_lora_names_each(names, count, &c);
    cr_expect_eq(c.twice, 0, "a spelling means two layers");
    cr_expect_eq(c.te1, 0);
    cr_expect_eq(c.te2, 192);
    rf_lora_names_destroy(names);
}
