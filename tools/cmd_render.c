/* `refinery render`: one picture, or a few, by a base and a refiner.
 *
 * Everything that can be wrong is found before the first weight is read: the request, the output
 * files, the experts' headers, the plan.  Only then the work begins. */
#include "tools/relay_save.h"
#include "tools/rendering.h"
#include "tools/start.h"

static const rf_option COMMON[] = {RF_COMMON_OPTIONS(rf_request, RF_PLACE_HELP)};

static const rf_option SAVE[] = {
    {.name = "save-relay",
     .kind = RF_OPTION_TEXT,
     .place = RF_PLACE_MORE,
     .offset = offsetof(rf_request, save_relay),
     .value = "NAME",
     .help = "keep these stages, for --relay NAME",
     .group = "Experts"},
    {.name = NULL},
};

static const rf_option *const OPTIONS[] = {rf_options_recipe,
                                           rf_options_experts,
                                           rf_options_loras,
                                           rf_options_stages,
                                           SAVE,
                                           rf_options_prompts,
                                           rf_options_sampling,
                                           rf_options_noise,
                                           rf_options_conditioning,
                                           rf_options_pictures,
                                           rf_options_init,
                                           rf_options_passes,
                                           rf_options_count,
                                           rf_options_batch,
                                           rf_options_output,
                                           rf_options_preview,
                                           rf_options_machine,
                                           COMMON,
                                           rf_options_profile,
                                           NULL};

static rf_status check_base(rf_invocation *in, const rf_request *request)
{
    if (request->base || rf_request_has_relay(request)) return RF_OK;
    rf_trouble_hint(&in->trouble, "refinery render --base pony.safetensors --prompt \"1girl, "
                                  "forest\"");
    return rf_fail(&in->trouble.error, RF_E_ARG,
                   "--base is missing: which checkpoint shall render?");
}

static rf_status prepare_outputs(rf_rendering *r, const rf_request *q)
{
    enum { OTHERS = 7 }; /* besides --relay */
    int            n = 0;
    rf_input       inputs[OTHERS + RF_RELAY_STAGES + 2] = {{NULL, NULL}};
    const rf_input others[OTHERS] = {{"--vae", q->job.vae},
                                     {"--prompt-file", q->prompt_file},
                                     {"--negative-file", q->negative_file},
                                     {"--styles", q->styles.count ? q->styles_file : NULL},
                                     {"--init", q->start.init},
                                     {"--mask", q->start.mask},
                                     {"--preview-vae", q->job.preview_vae}};
    for (int i = 0; i < q->job.stage_count; i++)
        inputs[n++] = (rf_input){q->relay_name          ? "--relay"
                                 : q->stage_texts.count ? "--stage"
                                 : i                    ? "--refiner"
                                                        : "--base",
                                 q->files[i]};
    inputs[n++] = (rf_input){"--relay", q->relay_path};
    for (int i = 0; i < OTHERS; i++) inputs[n++] = others[i];
    const rf_output_request outputs = {
        .pattern = q->output          ? q->output
                   : q->job.count > 1 ? "out-{index}.png"
                                      : "out.png",
        .count = q->job.count,
        .passes = q->start.save_passes ? rf_passes_expected(q) : 1,
        .seed = q->seed,
        .same_seed = q->job.variation > 0,
        .overwrite = q->overwrite,
        .trace = q->trace,
        .previews = q->job.preview_every || q->job.preview_vae,
        .inputs = inputs,
    };
    return rf_outputs_prepare(&r->outputs, &outputs, &r->in->trouble);
}

static rf_status run_render(rf_invocation *in)
{
    rf_status    st = RF_OK;
    rf_request  *q = in->values;
    rf_rendering r = {.in = in};
    rf_start     start = {.init = {.rgb = NULL}};
    RF_TRY(check_base(in, q));
    RF_TRY(rf_request_settle(in, q, rf_rendering_warn, &r));
    RF_TRY(rf_start_settle(&start, in, q, rf_rendering_warn, &r));
    rf_rendering_begin(&r, in, q, &q->job);
    RF_TRY(prepare_outputs(&r, q));
    RF_TRY(rf_rendering_open(&r, q->files, q->predictions, NULL));
    RF_TRY(rf_rendering_add_loras(&r, rf_rendering_warn, &r));
    RF_TRY(rf_rendering_add_embeddings(&r, rf_rendering_warn, &r));
    RF_TRY(rf_passes_make(&r.passes, in, r.experts.engine, q, &r.job, rf_rendering_warn, &r));
    if (!q->dry_run) RF_TRY(rf_relay_save(in, q));
    RF_TRY(rf_rendering_run(&r));
done:
    st = rf_rendering_release(&r, st);
    rf_start_release(&start);
    rf_request_release(q);
    return st;
}

const rf_verb rf_verb_render = {
    .name = "render",
    .summary = "pictures by a base and a refiner, in one denoising",
    .examples = "refinery render -m pony.safetensors -r anime.safetensors \\\n"
                "    --recipe pony-animagine --base-tags 1girl \"1girl, forest\"\n"
                "refinery render -m pony.safetensors -p \"a fox\" --count 4 -o fox-{seed}.png\n",
    .usage = "--base FILE [--refiner FILE] --prompt TEXT [options]",
    .notes = "The base does the first part of the steps, the refiner the rest, in one latent\n"
             "picture: 1 = base only, 0 = refiner only. In prompts: [base:refiner:switch].\n",
    .more = "refiner-negative base-tags refiner-tags",
    .options = OPTIONS,
    .operands_max = 1,
    .values_bytes = sizeof(rf_request),
    .prepare = rf_request_prepare,
    .run = run_render,
};
