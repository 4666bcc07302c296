/* The parts of the UNet that run once per run or prompt: embeddings, keys and values; see unet.h.
 */
#include "engine/model/unet.h"

/* Two Linears with SiLU between; the second adds `residual` and takes `act`. */
static void two_linears(rf_recorder *r, void *y, const void *x, const void *residual, int m, int k,
                        int n, rf_act act, const char *first, const char *second)
{
    void *hidden = rf_take(r, (size_t)m * (size_t)n);
    rf_do_linear(r, (rf_gemm_args){.y = hidden, .x = x, .m = m, .n = n, .k = k, .act = RF_ACT_SILU},
                 first);
    rf_do_linear(r,
                 (rf_gemm_args){
                     .y = y, .x = hidden, .residual = residual, .m = m, .n = n, .k = n, .act = act},
                 second);
    rf_give(r, hidden);
}

/* e = silu(time(sinusoid(t)) + label(vector)); every ResBlock projects the same e. */
void rf_unet_embed(rf_recorder *r, const void *arg)
{
    const rf_unet_embed_args *a = arg;
    const rf_unet_arch       *arch = a->arch;
    const int                 rows = a->rows;
    void                     *sinusoid = rf_take(r, (size_t)rows * (size_t)arch->width);
    void                     *e = rf_take(r, (size_t)rows * (size_t)arch->time);

    rf_do_timestep(r,
                   (rf_timestep_args){.y = sinusoid,
                                      .value = a->timestep,
                                      .m = rows,
                                      .dim = arch->width,
                                      .y_stride = arch->width},
                   "time_embed.sinusoid");
    two_linears(r, e, sinusoid, NULL, rows, arch->width, arch->time, RF_ACT_NONE, "time_embed.0",
                "time_embed.2");
    two_linears(r, e, a->vector, e, rows, arch->vector, arch->time, RF_ACT_SILU, "label_emb.0.0",
                "label_emb.0.2");

    for (int i = 0; i < a->list->count; i++) {
        const rf_unet_block *b = &a->list->block[i];
        if (b->kind != RF_UNET_RES) continue;
        const size_t mark = rf_enter(r, "%s", b->path);
        rf_do_linear(r,
                     (rf_gemm_args){.y = rf_offset(r, a->table, b->temb_offset * (size_t)rows),
                                    .x = e,
                                    .m = rows,
                                    .n = b->cout,
                                    .k = arch->time},
                     "emb_layers.1");
        rf_leave(r, mark);
    }
    rf_give(r, e);
    rf_give(r, sinusoid);
}

void rf_unet_kv(rf_recorder *r, const void *arg)
{
    const rf_unet_kv_args *a = arg;
    for (int i = 0; i < a->list->count; i++) {
        const rf_unet_block *b = &a->list->block[i];
        if (b->kind != RF_UNET_ATTN) continue;
        for (int layer = 0; layer < b->depth; layer++) {
            const size_t offset = b->kv_offset + 2 * (size_t)b->cout * (size_t)layer;
            const size_t mark = rf_enter(r, "%s.transformer_blocks.%d.attn2", b->path, layer);
            rf_do_gemm(r,
                       (rf_gemm_args){.y = rf_offset(r, a->pool, offset * (size_t)a->tokens),
                                      .x = a->context,
                                      .m = a->tokens,
                                      .n = 2 * b->cout,
                                      .k = a->arch->context},
                       &(rf_gemm_layer){.weight = {"to_k.weight", "to_v.weight"}});
            rf_leave(r, mark);
        }
    }
}

rf_status rf_unet_list_weights(rf_device *device, rf_weights *w, const rf_unet_arch *arch,
                               const rf_unet_list *list, rf_unet_sections *sections, rf_error *err)
{
    /* Listing looks at channel counts alone, so the smallest shape will do. */
    const rf_unet_forward_args forward = {
        .list = list, .arch = arch, .n = 1, .h = 8, .w = 8, .temb_rows = 1, .kv_tokens = 1};
    const rf_unet_kv_args    kv = {.list = list, .arch = arch, .tokens = 1};
    const rf_unet_embed_args embed = {.list = list, .arch = arch, .rows = 1};

    sections->forward = w->count;
    rf_status st = rf_record_list(device, w, rf_unet_forward, &forward, err);
    sections->kv = w->count;
    if (st == RF_OK) st = rf_record_list(device, w, rf_unet_kv, &kv, err);
    sections->embed = w->count;
    if (st == RF_OK) st = rf_record_list(device, w, rf_unet_embed, &embed, err);
    return st;
}
