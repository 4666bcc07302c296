/* `refinery inspect FILE...`: what each file is.  A file that is no model is an answer; a damaged
 * or missing one is an error, and the others are still looked at. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/model_file.h"
#include "tools/cache_path.h"
#include "tools/inspect_report.h"
#include "tools/signals.h"
#include "tools/verbs.h"

typedef struct inspect_values {
    rf_common   common;
    int         hash;
    const char *against;
} inspect_values;

static const rf_option ROWS[] = {
    {.name = "hash",
     .kind = RF_OPTION_FLAG,
     .offset = offsetof(inspect_values, hash),
     .help = "SHA-256; takes seconds if large, remembered",
     .group = "What to tell",
     .aliases = "sha256"},
    {.name = "against",
     .kind = RF_OPTION_INPUT,
     .offset = offsetof(inspect_values, against),
     .value = "FILE",
     .help = "an expert: how much of each LoRA fits it",
     .group = "What to tell",
     .aliases = "expert base model",
     .extension = "safetensors"},
    RF_COMMON_OPTIONS(inspect_values, RF_PLACE_HELP),
};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

/* Looks at the first bytes.  Whatever cannot be opened or read is left to the reader to report, as
 * is anything that is no regular file. */
static rf_container sniff(const char *path, uint64_t *bytes)
{
    unsigned char head[RF_SNIFF_BYTES];
    struct stat   info;
    rf_container  kind = RF_CONTAINER_SAFETENSORS;
    const int     fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
    if (fd < 0) return kind;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        const ssize_t got = pread(fd, head, sizeof head, 0);
        *bytes = (uint64_t)info.st_size;
        if (got >= 0) kind = rf_container_sniff(head, (size_t)got, *bytes);
    }
    close(fd);
    return kind;
}

/* Marks that make no sense keep a checkpoint from being used. */
static void find_prediction(rf_inspection *x)
{
    rf_identity *identity = &x->identity;
    if (identity->usable)
        identity->usable = rf_prediction_find(&x->prediction, x->tensors, x->header, x->path,
                                              &identity->problem) == RF_OK;
}

/* What the engine would say, by asking what the engine asks. */
static void inspect_uses(rf_inspection *x, const rf_against *against)
{
    rf_vae_view *view = NULL;
    rf_vae_arch  vae;
    if (!x->identity.usable) x->use[RF_USE_BASE] = x->use[RF_USE_REFINER] = x->identity.problem;
    rf_lora_inspect(&x->lora, x->path, against);
    x->is_lora = x->identity.kind == RF_MODEL_LORA || x->lora.lora;
    (void)rf_lora_inspection_check(&x->lora, &x->use[RF_USE_LORA]);
    (void)rf_model_use_check_vae(&vae, &view, x->tensors, &x->use[RF_USE_VAE]);
    rf_vae_view_close(view);
}

/* What is no safetensors file is good for nothing. */
static void refuse_uses(rf_inspection *x)
{
    for (int i = 0; i < RF_USES; i++)
        (void)rf_fail(&x->use[i], RF_E_MODEL, "%s: %s", x->path, rf_container_text(x->container));
}

static rf_status inspect_file(rf_invocation *in, const char *path, const rf_against *against,
                              const char *cache)
{
    rf_status             st = RF_OK;
    const inspect_values *v = in->values;
    rf_error             *err = &in->trouble.error;
    rf_model_file        *file = NULL;
    rf_inspection         x = {.path = path};
    x.container = sniff(path, &x.bytes);
    if (x.container == RF_CONTAINER_SAFETENSORS) {
        RF_TRY(rf_model_file_open(&file, path, err));
        x.tensors = rf_model_file_list(file);
        x.header = rf_model_file_header(file);
        const int folder = x.bytes == 0;
        for (size_t i = 0; folder && i < x.tensors->count; i++) x.bytes += x.tensors->item[i].bytes;
        rf_checkpoint_identify(&x.identity, x.tensors, rf_model_file_stored(file));
        find_prediction(&x);
        inspect_uses(&x, against);
    } else {
        refuse_uses(&x);
    }
    if (v->hash) RF_TRY(rf_model_file_sha256(x.sha256, path, cache, rf_signals_flag(), err));
    if (v->hash && x.is_lora)
        RF_TRY(rf_file_body_sha256(x.body_sha256, path, cache, rf_signals_flag(), err));
    if (v->common.json)
        RF_TRY(rf_inspect_print_json(&x, err));
    else
        rf_inspect_print_text(&x, v->common.verbose);
done:
    rf_lora_inspection_free(&x.lora);
    rf_model_file_close(file);
    return st;
}

static rf_status run_inspect(rf_invocation *in)
{
    rf_status             st = RF_OK;
    const inspect_values *v = in->values;
    rf_against            against = {.name = NULL};
    if (v->against) {
        st = rf_against_open(&against, v->against, &in->trouble.error);
        if (st != RF_OK) return st;
    }
    char *const cache = rf_cache_path_sha256();
    for (int i = 0; i < in->args.operand_count && !rf_signals_caught(); i++) {
        st = inspect_file(in, in->args.operands[i], &against, cache);
        if (st == RF_OK) continue;
        const int code = rf_console_error(&in->console, st, &in->trouble);
        if (!in->exit_code) in->exit_code = code; /* the first failure's */
        in->trouble.hint[0] = '\0';
    }
    free(cache);
    rf_against_close(&against);
    return RF_OK; /* failures are reported, and in exit_code */
}

const rf_verb rf_verb_inspect = {
    .name = "inspect",
    .summary = "says what model files are: parts, sizes, metadata, hash",
    .examples = "refinery inspect pony.safetensors\n"
                "refinery inspect --against pony.safetensors loras/*.safetensors\n",
    .usage = "[options] FILE...",
    .notes = "It also says what would happen if a file were used as base, refiner, LoRA or\n"
             "VAE; --against makes that of a LoRA exact.\n",
    .options = OPTIONS,
    .operands_min = 1,
    .operands_max = INT_MAX,
    .values_bytes = sizeof(inspect_values),
    .run = run_inspect,
};
