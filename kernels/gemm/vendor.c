/* gemm by cuBLASLt: y = x · wᵀ + bias + residual, one source, no activation.
 *
 * Its weights are the sm80 level's, packed by that level's functions: [n][k rounded up to 8], read
 * with that leading dimension, so that a call site can change level without a second copy.
 * cuBLASLt thinks in columns: y is n x m to it, w transposed is its A and x its B.
 *
 * What it has no epilogue for is RF_E_UNSUPPORTED: two sources, SiLU, quick GELU, GEGLU, and exact
 * GELU (its own is the tanh form).  It adds a bias of y's type only, so a launch of n elements
 * rounds the bias into the workspace first (vendor_bias.cu): one more rounding than the sm80 level
 * makes.
 *
 * A choice row's numbers: algorithm id, tile, stages, parts of k (1), reduction (0: none), swizzle,
 * custom option, inner shape, cluster shape, in cublasLtMatmulAlgoConfigAttributes_t's terms. */
#include "kernels/gemm/gemm.h"

#include <cublasLt.h>
#include <stdlib.h>

#include "kernels/choice/choice_keys.h"
#include "kernels/device/vendor_state.h"
#include "kernels/gemm/vendor_bias.h"

/* ---- the library -------------------------------------------------------------------------- */

#define CALLS(X)                                                                                   \
    X(cublasLtCreate)                                                                              \
    X(cublasLtDestroy)                                                                             \
    X(cublasLtGetVersion)                                                                          \
    X(cublasLtGetStatusName)                                                                       \
    X(cublasLtMatmul)                                                                              \
    X(cublasLtMatmulAlgoCheck)                                                                     \
    X(cublasLtMatmulAlgoConfigGetAttribute)                                                        \
    X(cublasLtMatmulAlgoConfigSetAttribute)                                                        \
    X(cublasLtMatmulAlgoGetHeuristic)                                                              \
    X(cublasLtMatmulAlgoInit)                                                                      \
    X(cublasLtMatmulDescInit_internal)                                                             \
    X(cublasLtMatmulDescSetAttribute)                                                              \
    X(cublasLtMatmulPreferenceInit_internal)                                                       \
    X(cublasLtMatmulPreferenceSetAttribute)                                                        \
    X(cublasLtMatrixLayoutInit_internal)

#define DECLARE(name) __typeof__(name) *name;
typedef struct lt {
    void            *library;
    cublasLtHandle_t handle;
    CALLS(DECLARE)
} lt;
#undef DECLARE

#define SYMBOL(name) {#name, offsetof(lt, name)},
static const rf_symbol symbols[] = {CALLS(SYMBOL)};
#undef SYMBOL

static void close_lt(void *library)
{
    lt *l = library;
    if (l->handle) l->cublasLtDestroy(l->handle);
    rf_library_close(l->library);
    free(l);
}

rf_status rf_vendor_open_cublaslt(rf_vendor *vendor, const char *file, rf_error *err)
{
    static const char *const usual[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    lt                      *l = calloc(1, sizeof *l);
    rf_status                st = RF_OK;
    if (!l) return rf_fail(err, RF_E_NOMEM, "vendor: out of memory");
    RF_TRY(rf_library_open(&l->library, file, usual, symbols, sizeof symbols / sizeof *symbols, l,
                           err));
    const cublasStatus_t code = l->cublasLtCreate(&l->handle);
    if (code != CUBLAS_STATUS_SUCCESS) {
        l->handle = NULL;
        st = rf_fail(err, RF_E_DEVICE, "cuBLASLt does not start on this GPU: %s",
                     l->cublasLtGetStatusName(code));
        goto done;
    }
    if (vendor->cublaslt) vendor->close_cublaslt(vendor->cublaslt);
    vendor->cublaslt = l;
    vendor->cublaslt_version = l->cublasLtGetVersion();
    vendor->close_cublaslt = close_lt;
    l = NULL;
done:
    if (l) close_lt(l);
    return st;
}

/* ---- a call in the library's words -------------------------------------------------------- */

typedef struct problem {
    cublasLtMatmulDescOpaque_t   desc;
    cublasLtMatrixLayoutOpaque_t w, x, y;
    cudaDataType                 type;
    const void                  *c; /* what beta multiplies */
    float                        alpha, beta;
    size_t                       bias_bytes; /* of the workspace's front */
} problem;

static int rounded_up(int x, int to)
{
    return (x + to - 1) / to * to;
}

#define TRY_LT(call, ...)                                                                          \
    do {                                                                                           \
        const cublasStatus_t code_ = l->call(__VA_ARGS__);                                         \
        if (code_ != CUBLAS_STATUS_SUCCESS)                                                        \
            return rf_vendor_fail(vendor, RF_E_UNSUPPORTED, "gemm %d x %d x %d: %s: %s", a->m,     \
                                  a->n, a->k, #call, l->cublasLtGetStatusName(code_));             \
    } while (0)

static rf_status check(rf_vendor *vendor, const rf_gemm_args *a)
{
    const int most = 1 << 30;
    if (!vendor || !vendor->cublaslt)
        return rf_vendor_fail(vendor, RF_E_UNSUPPORTED, "gemm: cuBLASLt is not open");
    if (rf_gemm_check(a) != RF_OK || a->m > most || a->n > most || a->k > most) return RF_E_SHAPE;
    if (a->dtype != a->wdtype || a->dtype == RF_F32) return RF_E_SHAPE;
    if (a->act != RF_ACT_NONE || a->k1)
        return rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                              "gemm: cuBLASLt has no %s here, and no other level takes its place",
                              a->k1 ? "second source" : "such activation");
    return RF_OK;
}

static rf_status describe(rf_vendor *vendor, const rf_gemm_args *a, problem *p)
{
    const lt       *l = vendor->cublaslt;
    const int32_t   transposed = CUBLAS_OP_T;
    const uint32_t  with_bias = CUBLASLT_EPILOGUE_BIAS;
    const rf_status st = check(vendor, a);
    if (st != RF_OK) return st;

    const uint64_t m = (uint64_t)a->m, n = (uint64_t)a->n, k = (uint64_t)a->k;
    p->type = a->dtype == RF_F16 ? CUDA_R_16F : CUDA_R_16BF;
    p->alpha = 1;
    p->beta = a->residual ? 1 : 0;
    p->c = a->residual ? a->residual : a->y;
    p->bias_bytes = a->bias ? (2 * (size_t)a->n + 255) / 256 * 256 : 0;
    TRY_LT(cublasLtMatmulDescInit_internal, &p->desc, sizeof p->desc, CUBLAS_COMPUTE_32F,
           CUDA_R_32F);
    TRY_LT(cublasLtMatrixLayoutInit_internal, &p->w, sizeof p->w, p->type, k, n,
           rounded_up(a->k, 8));
    TRY_LT(cublasLtMatrixLayoutInit_internal, &p->x, sizeof p->x, p->type, k, m, a->k);
    TRY_LT(cublasLtMatrixLayoutInit_internal, &p->y, sizeof p->y, p->type, n, m, a->n);
    TRY_LT(cublasLtMatmulDescSetAttribute, &p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
           sizeof transposed);
    if (!a->bias) return RF_OK;
    TRY_LT(cublasLtMatmulDescSetAttribute, &p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &with_bias,
           sizeof with_bias);
    /* prepare has no workspace yet; the library looks at the address's alignment alone. */
    const void *bias = a->workspace ? a->workspace : (const void *)(uintptr_t)256;
    TRY_LT(cublasLtMatmulDescSetAttribute, &p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
           sizeof bias);
    return RF_OK;
}

/* ---- algorithms --------------------------------------------------------------------------- */

/* Attributes of a row's numbers after the id, and how many bytes each has. */
static const struct {
    cublasLtMatmulAlgoConfigAttributes_t attribute;
    size_t                               bytes;
} config[] = {
    {CUBLASLT_ALGO_CONFIG_TILE_ID, 4},        {CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
    {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},     {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4},
    {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},  {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},
    {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2}, {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2},
};
enum {
    CONFIGS = sizeof config / sizeof *config,
    NUMBERS = 1 + CONFIGS,
    SPLITS = 3, /* of a row's numbers */
    REDUCTION = 4,
    WORKSPACE_MOST = 32 << 20, /* what NVIDIA's documentation asks for on Hopper */
    CANDIDATES = 64,
    ALIGNMENT = 16, /* of every pointer; the slab aligns its buffers better, but not all in them */
};

/* k in one part, and so nothing to reduce. */
static int in_order(const rf_choice *row)
{
    return row->count == NUMBERS && row->number[SPLITS] <= 1 && row->number[REDUCTION] == 0;
}

static rf_status pinned(rf_vendor *vendor, const rf_gemm_args *a, const problem *p,
                        const rf_choice *row, cublasLtMatmulAlgo_t *algo)
{
    const lt *l = vendor->cublaslt;
    if (!in_order(row))
        return rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                              "gemm %d x %d x %d: its row is no algorithm that leaves k whole",
                              a->m, a->n, a->k);
    TRY_LT(cublasLtMatmulAlgoInit, l->handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, p->type, p->type,
           p->type, p->type, row->number[0], algo);
    for (int i = 0; i < CONFIGS; i++) {
        const uint32_t wide = (uint32_t)row->number[1 + i];
        const uint16_t narrow = (uint16_t)wide;
        if (config[i].bytes == 2 && narrow != wide)
            return rf_vendor_fail(vendor, RF_E_UNSUPPORTED, "gemm: a number of its row is too big");
        TRY_LT(cublasLtMatmulAlgoConfigSetAttribute, algo, config[i].attribute,
               config[i].bytes == 2 ? (const void *)&narrow : &wide, config[i].bytes);
    }
    return RF_OK;
}

static rf_status row_of(rf_vendor *vendor, const rf_gemm_args *a, const cublasLtMatmulAlgo_t *algo,
                        rf_choice *row)
{
    const lt *l = vendor->cublaslt;
    size_t    written;
    *row = (rf_choice){.key = rf_gemm_choice_key(a), .level = RF_LEVEL_VENDOR, .count = NUMBERS};
    TRY_LT(cublasLtMatmulAlgoConfigGetAttribute, algo, CUBLASLT_ALGO_CONFIG_ID, &row->number[0],
           sizeof row->number[0], &written);
    for (int i = 0; i < CONFIGS; i++) {
        uint32_t wide = 0;
        uint16_t narrow = 0;
        TRY_LT(cublasLtMatmulAlgoConfigGetAttribute, algo, config[i].attribute,
               config[i].bytes == 2 ? (void *)&narrow : &wide, config[i].bytes, &written);
        row->number[1 + i] = (int32_t)(config[i].bytes == 2 ? narrow : wide);
    }
    return RF_OK;
}

rf_status rf_gemm_list_vendor(void *stream, const rf_gemm_args *a, rf_choice *out, int most,
                              int *count)
{
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    rf_vendor                       *vendor = ((const rf_gpu *)stream)->vendor;
    const lt                        *l;
    problem                          p;
    cublasLtMatmulPreferenceOpaque_t wish;
    cublasLtMatmulHeuristicResult_t  found[CANDIDATES];
    const uint64_t                   workspace = WORKSPACE_MOST;
    const uint32_t                   whole = CUBLASLT_REDUCTION_SCHEME_NONE, aligned = ALIGNMENT;
    int                              n = 0;
    *count = 0;
    const rf_status st = check(vendor, a);
    if (st != RF_OK) return st;
    const rf_status described = describe(vendor, a, &p);
    if (described != RF_OK) return described;
    l = vendor->cublaslt;
    TRY_LT(cublasLtMatmulPreferenceInit_internal, &wish, sizeof wish);
    TRY_LT(cublasLtMatmulPreferenceSetAttribute, &wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
           &workspace, sizeof workspace);
    TRY_LT(cublasLtMatmulPreferenceSetAttribute, &wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           &whole, sizeof whole);
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++)
        TRY_LT(cublasLtMatmulPreferenceSetAttribute, &wish, alignments[i], &aligned,
               sizeof aligned);
    TRY_LT(cublasLtMatmulAlgoGetHeuristic, l->handle, &p.desc, &p.w, &p.x, &p.y, &p.y, &wish,
           CANDIDATES, found, &n);
    for (int i = 0; i < n && *count < most; i++) {
        if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
        const rf_status named = row_of(vendor, a, &found[i].algo, &out[*count]);
        if (named != RF_OK) return named;
        *count += in_order(&out[*count]);
    }
    return RF_OK;
}

/* ---- the op ------------------------------------------------------------------------------- */

/* Everything a call needs but its pointers' contents: used by prepare and by the call. */
static rf_status plan(const rf_gpu *gpu, const rf_gemm_args *a, problem *p,
                      cublasLtMatmulAlgo_t *algo)
{
    const rf_choice_key key = rf_gemm_choice_key(a);
    const rf_choice    *row;
    rf_status           st = check(gpu->vendor, a);
    if (st == RF_OK) st = describe(gpu->vendor, a, p);
    if (st == RF_OK) st = rf_vendor_row(gpu, &key, &row);
    return st == RF_OK ? pinned(gpu->vendor, a, p, row, algo) : st;
}

static rf_status algorithm_bytes(rf_vendor *vendor, const rf_gemm_args *a, problem *p,
                                 const cublasLtMatmulAlgo_t *algo, size_t *bytes)
{
    const lt                       *l = vendor->cublaslt;
    cublasLtMatmulHeuristicResult_t r;
    TRY_LT(cublasLtMatmulAlgoCheck, l->handle, &p->desc, &p->w, &p->x, &p->y, &p->y, algo, &r);
    if (r.workspaceSize > WORKSPACE_MOST)
        return rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                              "gemm %d x %d x %d: its algorithm wants %zu bytes of workspace", a->m,
                              a->n, a->k, r.workspaceSize);
    *bytes = r.workspaceSize;
    return RF_OK;
}

rf_status rf_gemm_prepare_vendor(void *stream, const rf_gemm_args *a, size_t *workspace_bytes)
{
    const rf_gpu        *gpu = stream;
    problem              p;
    cublasLtMatmulAlgo_t algo;
    size_t               bytes = 0;
    *workspace_bytes = 0;
    rf_status st = plan(gpu, a, &p, &algo);
    if (st == RF_OK) st = algorithm_bytes(gpu->vendor, a, &p, &algo, &bytes);
    if (st == RF_OK) *workspace_bytes = p.bias_bytes + bytes;
    return st;
}

rf_status rf_gemm_vendor(void *stream, const rf_gemm_args *a)
{
    const rf_gpu        *gpu = stream;
    problem              p;
    cublasLtMatmulAlgo_t algo;
    size_t               bytes = 0;
    rf_status            st = plan(gpu, a, &p, &algo);
    if (st == RF_OK) st = algorithm_bytes(gpu->vendor, a, &p, &algo, &bytes);
    if (st != RF_OK) return st;
    rf_vendor *vendor = gpu->vendor;
    const lt  *l = vendor->cublaslt;
    if (a->bias) st = rf_gemm_narrow_bias(gpu, a->workspace, a->bias, a->n, a->dtype);
    if (st != RF_OK) return st;
    TRY_LT(cublasLtMatmul, l->handle, &p.desc, &p.alpha, a->w, &p.w, a->x, &p.x, &p.beta, p.c, &p.y,
           a->y, &p.y, &algo, bytes ? (char *)a->workspace + p.bias_bytes : NULL, bytes,
           gpu->stream);
    return RF_OK;
}

rf_status rf_gemm_pack_bytes_vendor(void *stream, const rf_gemm_weight_shape *s, size_t *bytes)
{
    return rf_gemm_pack_bytes_sm80(stream, s, bytes);
}

rf_status rf_gemm_pack_vendor(void *stream, const rf_gemm_weight_shape *s, void *dst,
                              const void *src)
{
    return rf_gemm_pack_sm80(stream, s, dst, src);
}
