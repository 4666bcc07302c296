/* Walking the levels down, through the middle and up; see unet_blocks.h. */
#include "engine/model/unet_blocks.h"

#include <stdarg.h>
#include <stdio.h>

static rf_unet_block *add(rf_unet_list *list, rf_unet_block block, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends and numbers a block; NULL once the list is full. */
static rf_unet_block *add(rf_unet_list *list, rf_unet_block block, const char *path, ...)
{
    if (list->count >= RF_UNET_BLOCKS) {
        list->count = RF_UNET_BLOCKS + 1;
        return NULL;
    }
    va_list args;
    va_start(args, path);
    vsnprintf(block.path, sizeof block.path, path, args);
    va_end(args);
    if (block.kind == RF_UNET_RES) {
        block.temb_offset = list->temb_columns;
        list->temb_columns += (size_t)block.cout;
    }
    if (block.kind == RF_UNET_ATTN) {
        block.kv_offset = list->kv_elems;
        list->kv_elems += 2 * (size_t)block.cout * (size_t)block.depth;
    }
    list->block[list->count] = block;
    return &list->block[list->count++];
}

static void keep_last(rf_unet_list *list)
{
    if (list->count <= RF_UNET_BLOCKS) list->block[list->count - 1].keep = 1;
}

int rf_unet_list_blocks(const rf_unet_arch *a, rf_unet_list *list)
{
    int skips[RF_UNET_BLOCKS], kept = 0; /* channels of what is kept, a stack */
    int c = a->width, index = 0;

    *list = (rf_unet_list){.count = 0};
    add(list, (rf_unet_block){.kind = RF_UNET_IN, .cin = a->in_channels, .cout = c},
        "input_blocks.0.0");
    keep_last(list);
    skips[kept++] = c;

    for (int level = 0; level < a->levels; level++) {
        const int cout = a->width * a->mult[level], depth = a->depth[level];
        for (int i = 0; i < a->blocks; i++) {
            index++;
            add(list, (rf_unet_block){.kind = RF_UNET_RES, .cin = c, .cout = cout},
                "input_blocks.%d.0", index);
            c = cout;
            if (depth)
                add(list,
                    (rf_unet_block){.kind = RF_UNET_ATTN, .cin = c, .cout = c, .depth = depth},
                    "input_blocks.%d.1", index);
            keep_last(list);
            if (kept == RF_UNET_BLOCKS) return -1;
            skips[kept++] = c;
        }
        if (level == a->levels - 1) break;
        index++;
        add(list, (rf_unet_block){.kind = RF_UNET_DOWN, .cin = c, .cout = c},
            "input_blocks.%d.0.op", index);
        keep_last(list);
        if (kept == RF_UNET_BLOCKS) return -1;
        skips[kept++] = c;
    }

    add(list, (rf_unet_block){.kind = RF_UNET_RES, .cin = c, .cout = c}, "middle_block.0");
    add(list, (rf_unet_block){.kind = RF_UNET_ATTN, .cin = c, .cout = c, .depth = a->middle_depth},
        "middle_block.1");
    add(list, (rf_unet_block){.kind = RF_UNET_RES, .cin = c, .cout = c}, "middle_block.2");

    index = 0;
    for (int level = a->levels - 1; level >= 0; level--) {
        const int cout = a->width * a->mult[level], depth = a->depth[level];
        for (int i = 0; i <= a->blocks; i++, index++) {
            add(list,
                (rf_unet_block){.kind = RF_UNET_RES, .cin = c, .skip = skips[--kept], .cout = cout},
                "output_blocks.%d.0", index);
            c = cout;
            if (depth)
                add(list,
                    (rf_unet_block){.kind = RF_UNET_ATTN, .cin = c, .cout = c, .depth = depth},
                    "output_blocks.%d.1", index);
            if (level > 0 && i == a->blocks)
                add(list, (rf_unet_block){.kind = RF_UNET_UP, .cin = c, .cout = c},
                    "output_blocks.%d.%d.conv", index, depth ? 2 : 1);
        }
    }
    return list->count <= RF_UNET_BLOCKS ? 0 : -1;
}
