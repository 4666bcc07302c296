/* See relay_save.h. */
#include "tools/relay_save.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/json_writer.h"
#include "tools/lora_spec.h"
#include "tools/relay_folder.h"
#include "tools/text_file.h"

/* The absolute path of `path`, or as it is. */
static void put_path(rf_json_writer *w, const char *key, const char *path)
{
    char *whole = path ? realpath(path, NULL) : NULL;
    rf_json_put_text(w, key, whole ? whole : path);
    free(whole);
}

/* A name stays one, a file gets its whole path. */
static void put_lora(rf_json_writer *w, const char *text)
{
    rf_trouble   none = {.hint = ""};
    rf_lora_spec spec;
    char        *name = NULL, *whole = NULL, *made = NULL;
    char         unet[RF_REAL_BYTES], te[RF_REAL_BYTES];
    struct stat  info;
    if (rf_lora_spec_option(&spec, "--lora", text, &none) == RF_OK)
        name = strndup(spec.name, spec.length);
    if (name && stat(name, &info) == 0 && S_ISREG(info.st_mode)) whole = realpath(name, NULL);
    if (whole && asprintf(&made, "%s:%s:%s", whole, rf_real_text(unet, spec.unet),
                          rf_real_text(te, spec.text)) < 0)
        made = NULL;
    rf_json_put_text(w, NULL, made ? made : text);
    free(made);
    free(whole);
    free(name);
}

static void put_texts(rf_json_writer *w, const rf_texts *texts)
{
    for (int i = 0; i < texts->count; i++) put_lora(w, texts->item[i]);
}

static void put_loras(rf_json_writer *w, const rf_request *q, int stage)
{
    const rf_texts  none = {.count = 0};
    const int       two = !rf_request_has_relay(q);
    const rf_texts *own = !two ? &none : stage ? &q->refiner_loras : &q->base_loras;
    int             count = q->loras.count + own->count;
    for (int i = 0; i < q->relay.loras; i++) count += q->relay.lora[i].stage == stage;
    if (count == 0) return;
    rf_json_open(w, "lora", '[');
    put_texts(w, &q->loras);
    put_texts(w, own);
    for (int i = 0; i < q->relay.loras; i++)
        if (q->relay.lora[i].stage == stage) put_lora(w, q->relay.lora[i].text);
    rf_json_close(w, ']');
}

static void put_cfg(rf_json_writer *w, const rf_stage *s)
{
    char from[RF_REAL_BYTES], to[RF_REAL_BYTES], both[2 * RF_REAL_BYTES + 4];
    if (s->cfg_scale < 0) return;
    if (s->cfg_ramp == 0) {
        rf_json_put_float(w, "cfg", s->cfg_scale);
        return;
    }
    const double end = round(((double)s->cfg_scale + (double)s->cfg_ramp) * 1e5) / 1e5;
    snprintf(both, sizeof both, "%s..%s",
             rf_real_text(from, round((double)s->cfg_scale * 1e5) / 1e5),
             rf_real_text(to, end > 0 ? end : 0));
    rf_json_put_text(w, "cfg", both);
}

/* Of numbers only what was said: the rest stays the job's. */
static void put_numbers(rf_json_writer *w, const rf_request *q, int stage)
{
    const rf_stage_sampling *own = &q->relay.sampling[stage];
    const struct {
        rf_relay_key key;
        double       value;
    } rows[] = {{RF_KEY_ETA, own->eta},
                {RF_KEY_S_CHURN, own->s_churn},
                {RF_KEY_S_TMIN, own->s_tmin},
                {RF_KEY_S_TMAX, own->s_tmax},
                {RF_KEY_S_NOISE, own->s_noise}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (q->relay.given[stage] & 1u << rows[i].key)
            rf_json_put_real(w, rf_relay_key_names[rows[i].key], rows[i].value);
}

static void put_stage(rf_json_writer *w, const rf_request *q, int i)
{
    const rf_stage *s = &q->job.stages[i];
    rf_json_open(w, NULL, '{');
    if (q->files[i]) put_path(w, "expert", q->files[i]);
    if (i + 1 < q->job.stage_count) rf_json_put_real(w, "until", s->until);
    put_cfg(w, s);
    if (s->sampler) rf_json_put_text(w, "sampler", s->sampler);
    put_numbers(w, q, i);
    if (q->predictions[i]) rf_json_put_text(w, "prediction", q->predictions[i]);
    if (s->clip_skip) rf_json_put_int(w, "clip_skip", s->clip_skip);
    put_loras(w, q, i);
    if (s->negative) rf_json_put_text(w, "negative", s->negative);
    if (s->prompt) rf_json_put_text(w, "prompt", s->prompt);
    rf_json_close(w, '}');
}

static void put_relay(FILE *out, const rf_request *q)
{
    rf_json_writer w = {.out = out};
    rf_json_open(&w, NULL, '{');
    rf_json_put_int(&w, "schema", 1);
    if (q->relay.summary) rf_json_put_text(&w, "summary", q->relay.summary);
    rf_json_put_text(&w, "switch_by", q->job.switch_by);
    rf_json_put_text(&w, "sampler", q->job.sampler);
    rf_json_put_text(&w, "schedule", q->job.schedule);
    rf_json_put_int(&w, "steps", q->job.steps);
    rf_json_open(&w, "stages", '[');
    for (int i = 0; i < q->job.stage_count; i++) put_stage(&w, q, i);
    rf_json_close(&w, ']');
    rf_json_close(&w, '}');
    fputc('\n', out);
}

/* In a relay file {prompt} stands for the command line's; here it was plain text. */
static rf_status check_prompts(const rf_request *q, rf_error *err)
{
    for (int i = 0; i < q->job.stage_count; i++) {
        const char *const texts[] = {q->job.stages[i].prompt, q->job.stages[i].negative};
        for (int k = 0; k < 2; k++)
            if (texts[k] && strstr(texts[k], "{prompt}"))
                return rf_fail(
                    err, RF_E_ARG,
                    "--save-relay: a prompt of stage %d says {prompt}, which a relay would "
                    "replace by the prompt of that day",
                    i + 1);
    }
    return RF_OK;
}

rf_status rf_relay_save(rf_invocation *in, const rf_request *q)
{
    rf_status    st = RF_OK;
    rf_error    *err = &in->trouble.error;
    rf_text_file file = {0};
    char        *path = NULL;
    struct stat  info;
    if (!q->save_relay) return RF_OK;
    RF_TRY(check_prompts(q, err));
    RF_TRY(rf_relay_new_path(&path, q->save_relay, &in->trouble));
    if (!q->overwrite && stat(path, &info) == 0) {
        st = rf_fail(err, RF_E_EXISTS, "--save-relay %s: %s exists", q->save_relay, path);
        goto done;
    }
    RF_TRY(rf_text_file_create(&file, path, err));
    put_relay(file.out, q);
    RF_TRY(rf_text_file_commit(&file, err));
done:
    rf_text_file_discard(&file);
    free(path);
    return st;
}
