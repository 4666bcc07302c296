/* See taesd_layout.h. */
#include "engine/files/taesd_layout.h"

#include <stdio.h>

enum { WIDTH_MAX = 1024, NAME_BYTES = 64 };

/* Numbers count the layers: the clamp is one in the author's files, and none in diffusers'. */
static const struct {
    const char *prefix;
    int         first;
} spellings[] = {{"", 1}, {"taesd_decoder.", 1}, {"decoder.", 1}, {"decoder.layers.", 0}};

/* An encoder's first layer is a convolution, its second a block. */
static const char *const encoders[] = {"taesd_encoder.", "encoder.", "encoder.layers.", ""};

static const rf_tensor *find(const rf_tensors *list, const char *prefix, int layer,
                             const char *leaf)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%d.%s", prefix, layer, leaf);
    return rf_tensors_find(list, name);
}

/* The first convolution of the decoder, which a block follows. */
static const rf_tensor *first_of(const rf_tensors *list, rf_taesd_arch *out)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        const char      *prefix = spellings[i].prefix;
        const int        first = spellings[i].first;
        const rf_tensor *t = find(list, prefix, first, "weight");
        if (!t || !find(list, prefix, first + 2, "conv.0.weight")) continue;
        *out = (rf_taesd_arch){.first = first, .prefix = prefix};
        return t;
    }
    return NULL;
}

static int has_encoder(const rf_tensors *list)
{
    int found = 0;
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders; i++)
        found |=
            find(list, encoders[i], 0, "weight") && find(list, encoders[i], 1, "conv.0.weight");
    return found;
}

int rf_is_taesd(const rf_tensors *list)
{
    rf_taesd_arch arch;
    return first_of(list, &arch) != NULL || has_encoder(list);
}

rf_status rf_taesd_derive(rf_taesd_arch *out, const rf_tensors *list, rf_error *err)
{
    const rf_tensor *t = first_of(list, out);
    char             shape[96];
    if (!t)
        return rf_fail(err, RF_E_MODEL, "%s: %s", list->path,
                       has_encoder(list)
                           ? "the encoder of a tiny autoencoder; previews need its decoder, such "
                             "as taesdxl_decoder.safetensors"
                           : "no decoder of a tiny autoencoder, which is what previews are made "
                             "with (taesdxl_decoder.safetensors)");
    rf_tensor_shape_text(t, shape, sizeof shape);
    if (t->ndim != 4 || t->dim[0] < 1 || t->dim[0] > WIDTH_MAX)
        return rf_fail(err, RF_E_MODEL,
                       "%s: tensor %s has shape %s where [64, 4, 3, 3] is expected", list->path,
                       t->name, shape);
    if (t->dim[1] != 4)
        return rf_fail(err, RF_E_MODEL,
                       "%s: a tiny autoencoder for another model: tensor %s has shape %s, and "
                       "SDXL's latent has 4 channels",
                       list->path, t->name, shape);
    out->width = (int)t->dim[0];
    return RF_OK;
}
