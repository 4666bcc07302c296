/* Running the kit's entries on a device, and their answers as text: a recording.
 *
 *     # entry: ldmatrix_x4
 *     # device: NVIDIA H100 80GB HBM3
 *     # date: 2026-11-23
 *     # inputs: 1f0c4d8e          a hash: other inputs make a recording worthless
 *     0 0000 00000001 ...         case, first word, eight words in hex
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "tests/emulator/conformance/kit.h"

enum { WORDS_A_LINE = 8, LINE = 256 };

#define KIT_ROW(name, wrapper, cases, in, out, words)                                              \
    {#name, #wrapper, cases, in, out, KIT_##words},
const kit_entry kit_entries[KIT_COUNT] = {KIT_ENTRIES(KIT_ROW)};
#undef KIT_ROW

/* ---- running ----------------------------------------------------------------------------------
 */

typedef struct buffers {
    uint32_t *in, *out; /* on the device */
    uint32_t *in_staged, *out_staged;
} buffers;

enum { IN_BYTES = 4 * KIT_IN_MOST, OUT_BYTES = 4 * KIT_OUT_MOST };

static rf_status take(rf_device *device, buffers *b, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_device_alloc(device, (void **)&b->in, IN_BYTES, "inputs", err));
    RF_TRY(rf_device_alloc(device, (void **)&b->out, OUT_BYTES, "answers", err));
    RF_TRY(rf_device_alloc_staging(device, (void **)&b->in_staged, IN_BYTES, "inputs", err));
    RF_TRY(rf_device_alloc_staging(device, (void **)&b->out_staged, OUT_BYTES, "answers", err));
done:
    return st;
}

static void give_back(rf_device *device, buffers *b)
{
    rf_device_free(device, b->in, IN_BYTES);
    rf_device_free(device, b->out, OUT_BYTES);
    rf_device_free_staging(device, b->in_staged, IN_BYTES);
    rf_device_free_staging(device, b->out_staged, OUT_BYTES);
}

static rf_status run_case(kit_id id, int which, rf_device *device, const buffers *b, rf_error *err)
{
    const kit_entry *e = &kit_entries[id];
    const kit_args   args = {b->out, b->in, which};
    rf_status        st = RF_OK;
    kit_fill(id, which, b->in_staged);
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_UP, b->in, b->in_staged,
                          4 * (size_t)e->in_words, err));
    RF_TRY(rf_device_fill(device, RF_STREAM_OPS, b->out, KIT_UNTOUCHED, OUT_BYTES, err));
    rf_device_note(device, e->name);
    if (kit_launch(id, device->stream, &args) != RF_OK) {
        RF_TRY(rf_device_check(device, err));
        st = rf_fail(err, RF_E_DEVICE, "%s: the launch was refused", e->name);
        goto done;
    }
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, b->out_staged, b->out,
                          4 * (size_t)e->out_words, err));
    RF_TRY(rf_device_wait(device, err));
done:
    return st;
}

rf_status kit_run(kit_id id, rf_device *device, uint32_t *out, rf_error *err)
{
    const kit_entry *e = &kit_entries[id];
    buffers          b = {0};
    rf_status        st = RF_OK;
    RF_TRY(rf_device_bind(device, err));
    RF_TRY(take(device, &b, err));
    for (int which = 0; which < e->cases; which++) {
        const size_t words = (size_t)e->out_words;
        RF_TRY(run_case(id, which, device, &b, err));
        memcpy(out + (size_t)which * words, b.out_staged, 4 * words);
    }
done:
    give_back(device, &b);
    return st;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static uint32_t hash_of_inputs(kit_id id)
{
    const kit_entry *e = &kit_entries[id];
    uint32_t         in[KIT_IN_MOST], hash = 0x811C9DC5u; /* FNV-1a, a word at a time */
    for (int which = 0; which < e->cases; which++) {
        kit_fill(id, which, in);
        for (int i = 0; i < e->in_words; i++) hash = (hash ^ in[i]) * 0x01000193u;
    }
    return hash;
}

void kit_write(FILE *f, kit_id id, const uint32_t *out, const char *device, const char *date)
{
    const kit_entry *e = &kit_entries[id];
    fprintf(f, "# entry: %s\n# device: %s\n# date: %s\n# inputs: %08" PRIx32 "\n", e->name, device,
            date, hash_of_inputs(id));
    for (int which = 0; which < e->cases; which++)
        for (int i = 0; i < e->out_words; i += WORDS_A_LINE) {
            fprintf(f, "%d %04d", which, i);
            for (int j = i; j < i + WORDS_A_LINE; j++) fprintf(f, " %08" PRIx32, *out++);
            fprintf(f, "\n");
        }
}

/* ---- comparing --------------------------------------------------------------------------------
 */

static bool both_nan(float a, float b)
{
    return isnan(a) && isnan(b);
}

static bool same_half(uint32_t a, uint32_t b, kit_words words)
{
    const uint16_t x = (uint16_t)a, y = (uint16_t)b;
    return x == y || (words == KIT_HALVES ? both_nan(rf_f32_from_f16(x), rf_f32_from_f16(y))
                                          : both_nan(rf_f32_from_bf16(x), rf_f32_from_bf16(y)));
}

static bool same_word(uint32_t a, uint32_t b, kit_words words)
{
    if (a == b || words == KIT_BITS) return a == b;
    if (words == KIT_FLOAT) return both_nan(rf_f32_from_bits(a), rf_f32_from_bits(b));
    return same_half(a, b, words) && same_half(a >> 16, b >> 16, words);
}

/* One word; false ends the comparison. */
static bool compare_word(kit_verdict *v, kit_id id, int which, const uint32_t *in, int word,
                         uint32_t recorded, uint32_t answer)
{
    const double bound = kit_bound(id, which, in, word, answer);
    if (same_word(recorded, answer, kit_entries[id].words)) return true;
    const double share =
        fabs((double)rf_f32_from_bits(recorded) - (double)rf_f32_from_bits(answer)) / bound;
    if (bound > 0 && share <= 1) { /* false for NaN */
        v->furthest = fmax(v->furthest, share);
        return true;
    }
    snprintf(v->text, sizeof v->text,
             "case %d, word %d: the GPU gave %08" PRIx32 ", the emulator gives %08" PRIx32
             " (allowed difference: %g)",
             which, word, recorded, answer, bound);
    return false;
}

/* What follows `key` in a line's note, without its end; NULL: it is another note. */
static const char *note(char *line, const char *key)
{
    if (strncmp(line, key, strlen(key)) != 0) return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line + strlen(key);
}

/* The next line that is no note; notes are checked. */
static bool next_line(FILE *f, kit_id id, char *line, kit_verdict *v)
{
    while (fgets(line, LINE, f)) {
        if (line[0] != '#') return true;
        const char *entry = note(line, "# entry: "), *hash = note(line, "# inputs: ");
        if (entry && strcmp(entry, kit_entries[id].name) != 0) {
            snprintf(v->text, sizeof v->text, "it is a recording of %.100s", entry);
            return false;
        }
        if (hash && (uint32_t)strtoul(hash, NULL, 16) != hash_of_inputs(id)) {
            snprintf(v->text, sizeof v->text, "it was recorded with other inputs: record it again");
            return false;
        }
    }
    snprintf(v->text, sizeof v->text, "it ends too early");
    return false;
}

/* Reads a line's words; false if it is not the line of `which` and `word`. */
static bool read_line(const char *line, int which, int word, uint32_t *words)
{
    char     *end;
    const int c = (int)strtol(line, &end, 10), w = (int)strtol(end, &end, 10);
    for (int i = 0; i < WORDS_A_LINE; i++) {
        const char *from = end;
        words[i] = (uint32_t)strtoul(from, &end, 16);
        if (end - from != 9) return false; /* a space and eight digits */
    }
    return c == which && w == word && *end == '\n';
}

kit_verdict kit_compare(FILE *recording, kit_id id, const uint32_t *out)
{
    const kit_entry *e = &kit_entries[id];
    kit_verdict      v = {0};
    uint32_t         in[KIT_IN_MOST], words[WORDS_A_LINE];
    char             line[LINE];
    for (int which = 0; which < e->cases; which++) {
        kit_fill(id, which, in);
        for (int i = 0; i < e->out_words; i += WORDS_A_LINE) {
            if (!next_line(recording, id, line, &v)) return v;
            if (!read_line(line, which, i, words)) {
                snprintf(v.text, sizeof v.text, "a line is not that of case %d, word %d: %.100s",
                         which, i, line);
                return v;
            }
            for (int j = 0; j < WORDS_A_LINE; j++)
                if (!compare_word(&v, id, which, in, i + j, words[j], *out++)) return v;
        }
    }
    v.agrees = true;
    return v;
}
