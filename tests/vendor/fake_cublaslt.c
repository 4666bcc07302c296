/* See fake_cublaslt.h.  Opaque structs of cuBLASLt hold this file's own. */
#include "tests/vendor/fake_cublaslt.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <string.h>

#include "kernels/half.h"

extern fake_lt_record fake_lt;
fake_lt_record        fake_lt;

#define COUNT()                                                                                    \
    do {                                                                                           \
        if (++fake_lt.calls == fake_lt.fail_at) return CUBLAS_STATUS_INTERNAL_ERROR;               \
    } while (0)

typedef struct product {
    int32_t     transposed_a, transposed_b;
    uint32_t    epilogue;
    const void *bias;
} product;

typedef struct wish {
    uint64_t workspace;
    uint32_t reductions, alignment[4];
} wish;

static const size_t algorithm_bytes[9] = {4, 4, 4, 4, 4, 4, 4, 2, 2};
/* Where an attribute stands in a choice row. */
static int place_of(cublasLtMatmulAlgoConfigAttributes_t attribute)
{
    static const int place[9] = {[CUBLASLT_ALGO_CONFIG_ID] = 0,
                                 [CUBLASLT_ALGO_CONFIG_TILE_ID] = 1,
                                 [CUBLASLT_ALGO_CONFIG_STAGES_ID] = 2,
                                 [CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = 3,
                                 [CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] = 4,
                                 [CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING] = 5,
                                 [CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION] = 6,
                                 [CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID] = 7,
                                 [CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID] = 8};
    return (unsigned)attribute < 9 ? place[attribute] : -1;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    COUNT();
    fake_lt.handles++;
    *handle = (cublasLtHandle_t)(void *)&fake_lt;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    (void)handle;
    fake_lt.handles--;
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void)
{
    return FAKE_LT_VERSION;
}

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_INTERNAL_ERROR ? "CUBLAS_STATUS_INTERNAL_ERROR"
                                                  : "CUBLAS_STATUS_NOT_SUPPORTED";
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t size,
                                                 cudaDataType type, uint64_t rows, uint64_t cols,
                                                 int64_t ld)
{
    const fake_lt_matrix m = {(int)type, rows, cols, ld};
    COUNT();
    if (size < sizeof m || ld < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(layout, &m, sizeof m);
    return CUBLAS_STATUS_SUCCESS;
}

static fake_lt_matrix matrix(cublasLtMatrixLayout_t layout)
{
    fake_lt_matrix m;
    memcpy(&m, layout, sizeof m);
    return m;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t desc, size_t size,
                                               cublasComputeType_t compute, cudaDataType_t scale)
{
    const product p = {.epilogue = CUBLASLT_EPILOGUE_DEFAULT};
    COUNT();
    if (size < sizeof p || compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(desc, &p, sizeof p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t           desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes)
{
    product p;
    COUNT();
    memcpy(&p, desc, sizeof p);
    if (attribute == CUBLASLT_MATMUL_DESC_TRANSA && bytes == 4)
        memcpy(&p.transposed_a, value, bytes);
    else if (attribute == CUBLASLT_MATMUL_DESC_TRANSB && bytes == 4)
        memcpy(&p.transposed_b, value, bytes);
    else if (attribute == CUBLASLT_MATMUL_DESC_EPILOGUE && bytes == 4)
        memcpy(&p.epilogue, value, bytes);
    else if (attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER && bytes == sizeof(void *))
        memcpy(&p.bias, value, bytes);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(desc, &p, sizeof p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     size_t                     size)
{
    const wish w = {.reductions = CUBLASLT_REDUCTION_SCHEME_MASK,
                    .alignment = {256, 256, 256, 256}};
    COUNT();
    if (size < sizeof w) return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(preference, &w, sizeof w);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t           preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes)
{
    wish w;
    COUNT();
    memcpy(&w, preference, sizeof w);
    const int at = (int)attribute - (int)CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == 8)
        memcpy(&w.workspace, value, bytes);
    else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK && bytes == 4)
        memcpy(&w.reductions, value, bytes);
    else if (at >= 0 && at < 4 && bytes == 4)
        memcpy(&w.alignment[at], value, bytes);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(preference, &w, sizeof w);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t compute,
                                      cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                      cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t *algo)
{
    const uint32_t fresh[9] = {(uint32_t)id, 0, 0, 1};
    (void)handle;
    COUNT();
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F || a != b || a != c || a != d ||
        (id != 66 && id != 67 && id != 71))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(algo, fresh, sizeof fresh);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t                *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void *value, size_t bytes)
{
    const int at = place_of(attribute);
    uint32_t  wide = 0;
    COUNT();
    if (at < 1 || bytes != algorithm_bytes[at]) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&wide, value, bytes);
    memcpy((char *)algo + 4 * at, &wide, sizeof wide);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t          *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t bytes, size_t *written)
{
    const int at = place_of(attribute);
    COUNT();
    if (at < 0 || bytes != algorithm_bytes[at]) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, (const char *)algo + 4 * at, bytes);
    *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

static size_t wanted_workspace(const cublasLtMatmulAlgo_t *algo)
{
    uint32_t id;
    memcpy(&id, algo, sizeof id);
    return id == 67 ? FAKE_LT_WORKSPACE : 0;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t      *algo,
                                       cublasLtMatmulHeuristicResult_t *result)
{
    (void)handle, (void)desc, (void)a, (void)b, (void)c, (void)d;
    COUNT();
    *result = (cublasLtMatmulHeuristicResult_t){.workspaceSize = wanted_workspace(algo)};
    return CUBLAS_STATUS_SUCCESS;
}

/* Four that can be had, and two that must not be taken whatever the wish said. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t found[], int *count)
{
    static const uint32_t known[][9] = {
        {71, 18, 5, 1, 0, 0, 0, 1, 2},  {66, 20, 10, 1, 0, 1, 3, 2, 7},
        {66, 20, 10, 4, 2, 0, 0, 0, 0}, /* splits k */
        {67, 15, 8, 1, 0, 0, 0, 0, 0},  {66, 0, 0, 1, 0, 0, 0, 0, 0},
    };
    enum { KNOWN = sizeof known / sizeof *known, UNFIT = 4 }; /* UNFIT: said not to do here */
    wish w;
    (void)handle, (void)desc, (void)a, (void)b, (void)c, (void)d;
    COUNT();
    memcpy(&w, preference, sizeof w);
    memcpy(fake_lt.alignment, w.alignment, sizeof w.alignment);
    fake_lt.reductions = w.reductions;
    *count = 0;
    for (int i = 0; i < KNOWN && *count < most; i++) {
        found[*count] = (cublasLtMatmulHeuristicResult_t){
            .state = i == UNFIT ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS};
        memcpy(&found[*count].algo, known[i], sizeof known[i]);
        ++*count;
    }
    return CUBLAS_STATUS_SUCCESS;
}

static rf_dtype dtype_of(int type)
{
    return type == CUDA_R_16F ? RF_F16 : type == CUDA_R_16BF ? RF_BF16 : RF_F32;
}

/* Element (row, col) of op(m), by columns. */
static float element(const void *data, const fake_lt_matrix *m, int transposed, size_t row,
                     size_t col)
{
    const size_t at = transposed ? row * (size_t)m->ld + col : col * (size_t)m->ld + row;
    return rf_load(data, dtype_of(m->type), at);
}

/* A product is computed at once; so what stands before it on the stream has to be done.  Programs
 * with the runtime's stand-in export it; others have no streams. */
static void wait_for(cudaStream_t stream)
{
    cudaError_t (*wait)(cudaStream_t) = NULL;
    void *address = dlsym(RTLD_DEFAULT, "cudaStreamSynchronize");
    memcpy(&wait, &address, sizeof wait);
    if (wait && stream) wait(stream);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    fake_lt_record *r = &fake_lt;
    product         p;
    (void)handle;
    COUNT();
    wait_for(stream);
    memcpy(&p, desc, sizeof p);
    memcpy(r->algorithm, algo, sizeof r->algorithm);
    memcpy(&r->alpha, alpha, sizeof r->alpha);
    memcpy(&r->beta, beta, sizeof r->beta);
    r->a = matrix(a_layout), r->b = matrix(b_layout);
    r->c = matrix(c_layout), r->d = matrix(d_layout);
    r->transposed_a = p.transposed_a, r->transposed_b = p.transposed_b;
    r->epilogue = (int)p.epilogue;
    r->workspace_bytes = workspace_bytes;
    r->stream = stream;
    const size_t k = p.transposed_a ? r->a.rows : r->a.cols;
    const size_t also_k = p.transposed_b ? r->b.cols : r->b.rows;
    const size_t rows = p.transposed_a ? r->a.cols : r->a.rows;
    if (k != also_k || rows != r->d.rows || workspace_bytes < wanted_workspace(algo) ||
        (workspace_bytes && !workspace) || (p.epilogue == CUBLASLT_EPILOGUE_BIAS && !p.bias))
        return CUBLAS_STATUS_INVALID_VALUE;
    const int backwards = r->algorithm[0] == 71 && r->d.cols > 150;
    for (size_t col = 0; col < r->d.cols; col++)
        for (size_t row = 0; row < r->d.rows; row++) {
            float sum = 0;
            for (size_t i = 0; i < k; i++) {
                const size_t j = backwards ? k - 1 - i : i;
                sum += element(a, &r->a, p.transposed_a, row, j) *
                       element(b, &r->b, p.transposed_b, j, col);
            }
            sum *= r->alpha;
            if (r->beta != 0) sum += r->beta * element(c, &r->c, 0, row, col);
            if (p.epilogue == CUBLASLT_EPILOGUE_BIAS)
                sum += rf_load(p.bias, dtype_of(r->d.type), row);
            rf_store(d, dtype_of(r->d.type), col * (size_t)r->d.ld + row, sum);
        }
    r->products++;
    return CUBLAS_STATUS_SUCCESS;
}
