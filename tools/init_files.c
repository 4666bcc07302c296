/* See init_files.h.  A picture lies on white, as in A1111; a mask on black, so that what is
 * transparent in it stays as it is. */
#include "tools/init_files.h"

#include <stdlib.h>
#include <string.h>

rf_status rf_init_files_open(rf_init_files *out, const char *path, rf_error *err)
{
    *out = (rf_init_files){.mask = NULL};
    return rf_picture_read(&out->picture, out->sha256, path, 255, err);
}

static int is_black(const uint8_t *mask, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        if (mask[i]) return 0;
    return 1;
}

static rf_status read_mask(rf_init_files *files, const rf_init *init, int width, int height,
                           const char *flag, rf_error *err)
{
    rf_status st = RF_OK;
    rf_pixels picture = {0};
    RF_TRY(rf_picture_read(&picture, files->mask_sha256, init->mask_path, 0, err));
    RF_TRY(rf_picture_fit(&picture, width, height, (rf_fit)init->resize_mode, err));
    RF_TRY(rf_mask_make(&files->mask, &picture, init->mask_inverted, init->mask_blur, err));
    if (is_black(files->mask, (size_t)width * (size_t)height))
        st = rf_fail(err, RF_E_ARG, "%s %.400s is %s everywhere: nothing would be painted", flag,
                     init->mask_path, init->mask_inverted ? "white" : "black");
done:
    free(picture.rgb);
    return st;
}

rf_status rf_init_files_fit(rf_init_files *files, rf_init *init, int width, int height,
                            const char *flag, rf_error *err)
{
    rf_status st = RF_OK;
    if (files->picture.rgb) {
        RF_TRY(rf_picture_fit(&files->picture, width, height, (rf_fit)init->resize_mode, err));
        init->rgb = files->picture.rgb;
        init->sha256 = files->sha256;
    }
    if (init->mask_path) {
        RF_TRY(read_mask(files, init, width, height, flag, err));
        init->mask = files->mask;
        init->mask_sha256 = files->mask_sha256;
    }
done:
    return st;
}

void rf_init_files_release(rf_init_files *files)
{
    free(files->picture.rgb);
    free(files->mask);
    *files = (rf_init_files){.mask = NULL};
}
