/* Textual inversions on a device that queues, emulated or real: a prompt with their names has, bit
 * for bit, the encoded contexts of the prompt with the words that they stand for.  The table of
 * vectors is filled anew for every encoder of every expert while the last one's may still be read.
 *
 * Nothing but the text encoders is computed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/files/fixture.h"
#include "tests/relay/embeddings.h"
#include "tests/relay/relay_cuda.h"

/* Of the first expert and of the second: with a name, and with what it stands for. */
static const struct {
    const char *named[2], *said[2], *named_negative, *said_negative;
} prompts[] = {
    {{"a mysticthing on a mat", "zzstyle, garden"},
     {"a red cat on a mat", "blue sky over sea, garden"},
     "n",
     "n"},
    {{"(MysticThing:1.3) BREAK mysticthing", "house, zzstyle"},
     {"(red cat:1.3) BREAK red cat", "house, blue sky over sea"},
     "ugly mysticthing",
     "ugly red cat"},
};
enum { PROMPTS = sizeof prompts / sizeof *prompts, JOBS = PROMPTS + 1 };

/* Ends the run once all prompts are encoded. */
static int until_encoded(void *user, const rf_progress *progress)
{
    const shooting *s = user;
    (void)progress;
    return s->plan->encoded;
}

/* Jobs whose prompts are encoded; the last says a name that it does not know. */
static void encode(relays *r, bool named, const rf_embedding_use *uses, shooting *s)
{
    rf_stage stage[JOBS][2];
    rf_job   job[JOBS];
    rf_error err = {0};
    *s = shooting_nothing;
    s->skip[RF_PHASE_LOAD] = EMU_SKIP_NOTHING;
    for (int i = 0; i < JOBS; i++) {
        for (int k = 0; k < 2; k++)
            stage[i][k] =
                (rf_stage){.expert = r->expert[k], .until = (k + 1) / 2.0, .cfg_scale = 4};
        for (int k = 0; k < 2 && i < PROMPTS; k++) {
            stage[i][k].prompt = named ? prompts[i].named[k] : prompts[i].said[k];
            stage[i][k].negative = "n";
        }
        if (i < PROMPTS)
            stage[i][0].negative = named ? prompts[i].named_negative : prompts[i].said_negative;
        else
            stage[i][0].prompt = stage[i][1].prompt = prompts[0].named[0];
        job[i] = small_job(stage[i], 2, 2);
        if (named && i < PROMPTS) job[i].embeddings = uses, job[i].embedding_count = 2;
    }
    must(rf_plan_create_many(&s->plan, r->engine, job, JOBS, &err), &err);
    rf_callbacks callbacks = shooting_callbacks(s);
    callbacks.progress = until_encoded;
    cr_expect_eq(rf_plan_run(s->plan, &callbacks, &err), RF_E_CANCELLED, "%s", err.message);
    cr_assert(s->plan->encoded);
}

static bool same_encoding(const rf_plan_expert *x, const rf_conditioning *a,
                          const rf_conditioning *b)
{
    const rf_sdxl_arch *arch = &x->expert->arch;
    return a->rows == b->rows &&
           memcmp(a->context, b->context, (size_t)a->rows * (size_t)arch->unet.context * 2) == 0 &&
           memcmp(a->pooled, b->pooled, (size_t)arch->clip_g.projection * 2) == 0;
}

Test(inversions_cuda, a_name_reads_its_vectors, .timeout = 120)
{
    relays   r;
    shooting named, said;
    gpu_open(&r, (rf_options){.dtype = "f16"});
    char *cat = strdup(fixture_path("mysticthing.safetensors"));
    char *sky = strdup(fixture_path("zzstyle.safetensors"));
    write_inversion(&r, r.expert[0], "red cat", cat);
    write_inversion(&r, r.expert[1], "blue sky over sea", sky);
    encode(&r, true, (rf_embedding_use[]){{.path = cat}, {.path = sky}}, &named);
    encode(&r, false, NULL, &said);
    cr_assert_eq(named.plan->expert_count, 2);
    for (int k = 0; k < 2; k++) {
        const rf_plan_expert *x = &named.plan->expert[k], *y = &said.plan->expert[k];
        cr_assert_eq(x->conds, y->conds);
        cr_expect_geq(x->conds, 4);
        for (int i = 0; i < x->conds; i++) {
            cr_expect(same_encoding(x, &x->cond[i], &y->cond[i]), "expert %d, prompt %d", k, i);
            for (int j = 0; j < i; j++) /* also: a name that is not known is only text */
                cr_expect_not(same_encoding(x, &x->cond[i], &x->cond[j]), "%d, %d", i, j);
        }
    }
    rf_plan_destroy(named.plan);
    rf_plan_destroy(said.plan);
    free(cat);
    free(sky);
    gpu_close(&r);
    fixture_cleanup();
}
