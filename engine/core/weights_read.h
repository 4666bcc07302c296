/* The elements of a slot, from the file to its storage type, patched on the way: what weights.c
 * does before it packs. */
#ifndef RF_WEIGHTS_READ_H
#define RF_WEIGHTS_READ_H

#include "engine/core/weights.h"

/* Elements of a tensor. */
typedef struct rf_stretch {
    const rf_tensor *tensor;
    size_t           first, count;
} rf_stretch;

/* What a tensor of a type that slots may have holds. */
static inline rf_dtype rf_slot_source_dtype(rf_filetype type)
{
    return type == RF_FILE_F16 ? RF_F16 : type == RF_FILE_BF16 ? RF_BF16 : RF_F32;
}

/* Elements of the whole slot; the file's own checks bound every dimension. */
static inline size_t rf_slot_elems(const rf_slot *s)
{
    return (size_t)s->n * (size_t)s->k * (s->kind == RF_SLOT_CONV ? 9 : 1);
}

/* Reads elements as they are in the file and converts them to `dtype` at `dst`. */
rf_status rf_part_read(const rf_weights *w, rf_stretch s, void *dst, rf_dtype dtype, int threads,
                       rf_error *err);
/* whole [elements] = a tensor that the patch touches, patched. */
rf_status rf_part_read_patched(const rf_weights *w, const rf_tensor *t, float *whole, int threads,
                               rf_error *err);
void      rf_convert_all(void *dst, rf_dtype to, const float *src, size_t count, int threads);

/* All parts of a slot, one after the other, in its storage type, where the host can write; behind
 * them again, turned, if the slot is transposed.  `whole`: room for the largest patched part. */
rf_status rf_slot_read(const rf_weights *w, const rf_slot *s, char *plain, float *whole,
                       int threads, rf_error *err);

#endif
