/* Only plain decimal numbers get as far as strtod: what a list means must not depend on what else a
 * C library reads as a number (nan, 0x1p3). */
#include <stdlib.h>
#include <string.h>

#include "engine/sample/schedule.h"

enum { SHOWN_BYTES = 40 }; /* of an entry, in a message */

static const char BLANKS[] = " \t\r\n";

/* *value = the entry at *text, which moves behind it, blanks and a comma; `number` from 1. */
static rf_status read_entry(const char **text, int number, double *value, rf_error *err)
{
    const size_t length = strcspn(*text, ", \t\r\n");
    char        *end = NULL;
    const double read = strtod(*text, &end);
    const int    shown = length < SHOWN_BYTES ? (int)length : SHOWN_BYTES;
    if (length == 0) return rf_fail(err, RF_E_ARG, "sigmas: entry %d is empty", number);
    if (strspn(*text, "0123456789.eE+-") != length || end != *text + length)
        return rf_fail(err, RF_E_ARG, "sigmas: entry %d, \"%.*s\", is no number", number, shown,
                       *text);
    if (!(read >= 0 && read <= 3e38)) /* fits an f32 */
        return rf_fail(err, RF_E_ARG, "sigmas: entry %d, \"%.*s\", is out of range", number, shown,
                       *text);
    *value = (float)read;
    *text += length;
    *text += strspn(*text, BLANKS);
    return RF_OK;
}

rf_status rf_sigmas_parse(rf_sigmas *out, const char *text, rf_error *err)
{
    rf_status st = RF_OK;
    int       count = 0, more = 1;
    double   *sigma = calloc(RF_STEPS_MAX + 2, sizeof *sigma); /* the last stays 0 */
    *out = (rf_sigmas){0};
    if (!sigma) {
        st = rf_fail(err, RF_E_NOMEM, "no memory for a list of noise levels");
        goto done;
    }
    text += strspn(text, BLANKS);
    while (more) {
        if (count > 0 && sigma[count - 1] == 0) {
            st = rf_fail(err, RF_E_ARG, "sigmas: entry %d is 0, but not the last", count);
            goto done;
        }
        if (count > RF_STEPS_MAX) {
            st = rf_fail(err, RF_E_ARG, "sigmas: more than %d entries", RF_STEPS_MAX);
            goto done;
        }
        RF_TRY(read_entry(&text, count + 1, &sigma[count], err));
        if (count > 0 && !(sigma[count] < sigma[count - 1])) {
            st = rf_fail(err, RF_E_ARG, "sigmas: entry %d, %g, is not below the one before it, %g",
                         count + 1, sigma[count], sigma[count - 1]);
            goto done;
        }
        count++;
        more = *text != '\0';
        if (*text == ',') text += 1 + strspn(text + 1, BLANKS);
    }
    out->steps = sigma[count - 1] == 0 ? count - 1 : count;
    if (out->steps < 1 || out->steps > RF_STEPS_MAX) {
        st = rf_fail(err, RF_E_ARG, "sigmas: %d noise levels above 0: there must be 1 to %d",
                     out->steps, RF_STEPS_MAX);
        out->steps = 0;
        goto done;
    }
    out->sigma = sigma;
    sigma = NULL;
done:
    free(sigma);
    return st;
}
