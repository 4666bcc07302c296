/* Storing and walking op calls; see program.h. */
#include "engine/core/program.h"

#include <stdlib.h>

#include "engine/core/trace.h"
#include "kernels/choice/choice_keys.h"

const char *rf_op_name(rf_op_kind kind)
{
    static const char *const names[RF_OP_KINDS] = {
        "gemm",     "conv",   "attention", "groupnorm", "layernorm",  "embedding",
        "timestep", "resize", "lincomb",   "pixels",    "latent_rgb",
    };
    return kind < RF_OP_KINDS ? names[kind] : "unknown op";
}

rf_status rf_program_add(rf_program *program, const rf_op_call *call, rf_error *err)
{
    if (program->count == program->cap) {
        const size_t cap = program->cap ? program->cap * 2 : 256;
        rf_op_call  *grown = realloc(program->call, cap * sizeof *grown);
        if (!grown) return rf_fail(err, RF_E_NOMEM, "program: %zu calls do not fit", cap);
        program->call = grown;
        program->cap = cap;
    }
    program->call[program->count++] = *call;
    return RF_OK;
}

void rf_program_free(rf_program *program)
{
    free(program->call);
    *program = (rf_program){0};
}

/* Whether the level has the op at all. */
static int has_op(const rf_ops *ops, rf_op_kind kind)
{
    switch (kind) {
    case RF_OP_GEMM: return ops->gemm && ops->gemm_prepare && ops->gemm_pack;
    case RF_OP_CONV: return ops->conv && ops->conv_prepare && ops->conv_pack;
    case RF_OP_ATTENTION: return ops->attention && ops->attention_prepare;
    case RF_OP_GROUPNORM: return ops->groupnorm && ops->groupnorm_prepare;
    case RF_OP_LAYERNORM: return ops->layernorm != NULL;
    case RF_OP_EMBEDDING: return ops->embedding != NULL;
    case RF_OP_TIMESTEP: return ops->timestep != NULL;
    case RF_OP_RESIZE: return ops->resize != NULL;
    case RF_OP_LINCOMB: return ops->lincomb != NULL;
    case RF_OP_PIXELS: return ops->pixels != NULL;
    case RF_OP_LATENT_RGB: return ops->latent_rgb != NULL;
    case RF_OP_KINDS: break;
    }
    return 0;
}

int rf_call_by_vendor(const rf_device *device, const rf_op_call *call)
{
    rf_choice_key key;
    switch (call->kind) {
    case RF_OP_GEMM: key = rf_gemm_choice_key(&call->args.gemm); break;
    case RF_OP_CONV: key = rf_conv_choice_key(&call->args.conv); break;
    case RF_OP_ATTENTION: key = rf_attention_choice_key(&call->args.attention); break;
    default: return 0;
    }
    /* a row is of plain convolutions: the vendor's has no ReLU */
    if (call->kind == RF_OP_CONV && call->args.conv.relu) return 0;
    const rf_choice *row = rf_choose(device->choices, &key);
    return row && row->level == RF_LEVEL_VENDOR;
}

/* The level that a call works with.  It shares its weights with the device's own: both pack alike.
 */
static const rf_ops *ops_of(const rf_device *device, const rf_op_call *call)
{
    return call->by_vendor ? rf_ops_of(RF_LEVEL_VENDOR) : device->ops;
}

rf_status rf_call_prepare(rf_device *device, const rf_op_call *call, size_t *workspace_bytes,
                          rf_error *err)
{
    const rf_ops *ops = ops_of(device, call);
    rf_status     st = RF_OK;
    *workspace_bytes = 0;
    if (!ops)
        return rf_fail(err, RF_E_UNSUPPORTED, "%s: this build has no vendor level", call->label);
    if (!has_op(ops, call->kind))
        return rf_fail(err, RF_E_UNSUPPORTED, "%s: the %s level has no %s kernel", call->label,
                       rf_level_name(ops->level), rf_op_name(call->kind));
    switch (call->kind) {
    case RF_OP_GEMM:
        st = ops->gemm_prepare(device->stream, &call->args.gemm, workspace_bytes);
        break;
    case RF_OP_CONV:
        st = ops->conv_prepare(device->stream, &call->args.conv, workspace_bytes);
        break;
    case RF_OP_ATTENTION:
        st = ops->attention_prepare(device->stream, &call->args.attention, workspace_bytes);
        break;
    case RF_OP_GROUPNORM:
        st = ops->groupnorm_prepare(device->stream, &call->args.groupnorm, workspace_bytes);
        break;
    default: break;
    }
    if (st != RF_OK)
        return rf_fail(err, st, "%s: the %s op refuses these sizes (%s)", call->label,
                       rf_op_name(call->kind), rf_status_name(st));
    return RF_OK;
}

void rf_call_set_workspace(rf_op_call *call, void *workspace)
{
    switch (call->kind) {
    case RF_OP_GEMM: call->args.gemm.workspace = workspace; break;
    case RF_OP_CONV: call->args.conv.workspace = workspace; break;
    case RF_OP_ATTENTION: call->args.attention.workspace = workspace; break;
    case RF_OP_GROUPNORM: call->args.groupnorm.workspace = workspace; break;
    default: break;
    }
}

static rf_status run_call(const rf_op_call *call, const rf_ops *ops, void *stream)
{
    switch (call->kind) {
    case RF_OP_GEMM: return ops->gemm(stream, &call->args.gemm);
    case RF_OP_CONV: return ops->conv(stream, &call->args.conv);
    case RF_OP_ATTENTION: return ops->attention(stream, &call->args.attention);
    case RF_OP_GROUPNORM: return ops->groupnorm(stream, &call->args.groupnorm);
    case RF_OP_LAYERNORM: return ops->layernorm(stream, &call->args.layernorm);
    case RF_OP_EMBEDDING: return ops->embedding(stream, &call->args.embedding);
    case RF_OP_TIMESTEP: return ops->timestep(stream, &call->args.timestep);
    case RF_OP_RESIZE: return ops->resize(stream, &call->args.resize);
    case RF_OP_LINCOMB: return ops->lincomb(stream, &call->args.lincomb);
    case RF_OP_PIXELS: return ops->pixels(stream, &call->args.pixels);
    case RF_OP_LATENT_RGB: return ops->latent_rgb(stream, &call->args.latent_rgb);
    case RF_OP_KINDS: break;
    }
    return RF_E_BUG;
}

rf_status rf_program_run_range(const rf_program *program, size_t first, size_t last,
                               rf_device *device, rf_error *err)
{
    rf_status st = rf_device_bind(device, err);
    for (size_t i = first; st == RF_OK && i < last; i++) {
        const rf_op_call *call = &program->call[i];
        rf_device_note(device, call->label);
        if (device->trace)
            rf_trace_begin(device->trace, RF_TRACE_OP, "%s %s", rf_op_name(call->kind),
                           call->label);
        st = run_call(call, ops_of(device, call), device->stream);
        if (st == RF_OK) continue;
        const rf_status cause = rf_device_check(device, err);
        if (cause != RF_OK) return cause;
        return rf_fail(err, st, "%s: the %s op failed (%s)", call->label, rf_op_name(call->kind),
                       rf_status_name(st));
    }
    rf_trace_end(device->trace, RF_TRACE_OP);
    return st;
}

rf_status rf_program_capture(const rf_program *program, rf_device *device, rf_graph **out,
                             rf_error *err)
{
    *out = NULL;
    rf_status st = rf_capture_begin(device, err);
    if (st != RF_OK) return st;
    st = rf_program_run(program, device, err);
    if (st == RF_OK) return rf_capture_end(device, out, err);
    rf_capture_abandon(device);
    return st;
}

rf_status rf_program_run(const rf_program *program, rf_device *device, rf_error *err)
{
    return rf_program_run_range(program, 0, program->count, device, err);
}
