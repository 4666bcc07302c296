/* The kinds and their factors; see lora_shapes.h. */
#include "engine/files/lora_shapes.h"

#include <inttypes.h>

typedef struct check {
    rf_lora_module *m;
    const char     *path;
    rf_error       *err;
} check;

static const rf_tensor *has(const rf_lora_module *m, rf_lora_role role)
{
    return m->tensor[role];
}

/* ---- which kind --------------------------------------------------------------------------- */

static unsigned bit(rf_lora_role role)
{
    return 1u << role;
}

static unsigned present(const rf_lora_module *m)
{
    unsigned set = 0;
    for (int i = 0; i < RF_LORA_ROLES; i++) set |= m->tensor[i] ? bit((rf_lora_role)i) : 0;
    return set & ~(bit(RF_LORA_BIAS) | bit(RF_LORA_DORA) | bit(RF_LORA_ALPHA));
}

/* What stands in a file, and what that is; every way in which the kinds are written. */
static const struct {
    rf_lora_kind kind;
    unsigned     roles;
} forms[] = {
    {RF_LORA_LOW_RANK, 1u << RF_LORA_UP | 1u << RF_LORA_DOWN},
    {RF_LORA_LOW_RANK, 1u << RF_LORA_UP | 1u << RF_LORA_DOWN | 1u << RF_LORA_MID},
    {RF_LORA_HADAMARD,
     1u << RF_LORA_W1_A | 1u << RF_LORA_W1_B | 1u << RF_LORA_W2_A | 1u << RF_LORA_W2_B},
    {RF_LORA_HADAMARD, 1u << RF_LORA_W1_A | 1u << RF_LORA_W1_B | 1u << RF_LORA_W2_A |
                           1u << RF_LORA_W2_B | 1u << RF_LORA_T1 | 1u << RF_LORA_T2},
    {RF_LORA_KRONECKER, 1u << RF_LORA_K1 | 1u << RF_LORA_K2},
    {RF_LORA_KRONECKER, 1u << RF_LORA_K1_A | 1u << RF_LORA_K1_B | 1u << RF_LORA_K2},
    {RF_LORA_KRONECKER, 1u << RF_LORA_K1 | 1u << RF_LORA_K2_A | 1u << RF_LORA_K2_B},
    {RF_LORA_KRONECKER,
     1u << RF_LORA_K1 | 1u << RF_LORA_K2_A | 1u << RF_LORA_K2_B | 1u << RF_LORA_KT},
    {RF_LORA_KRONECKER,
     1u << RF_LORA_K1_A | 1u << RF_LORA_K1_B | 1u << RF_LORA_K2_A | 1u << RF_LORA_K2_B},
    {RF_LORA_KRONECKER, 1u << RF_LORA_K1_A | 1u << RF_LORA_K1_B | 1u << RF_LORA_K2_A |
                            1u << RF_LORA_K2_B | 1u << RF_LORA_KT},
    {RF_LORA_DIFF, 1u << RF_LORA_WEIGHT},
    {RF_LORA_DIFF, 0}, /* a bias alone */
};

static rf_status find_kind(const check *c, int sets)
{
    const unsigned roles = present(c->m);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].roles != roles) continue;
        if (roles == 0 && !has(c->m, RF_LORA_BIAS)) break;
        c->m->kind = sets ? RF_LORA_SET : forms[i].kind;
        return RF_OK;
    }
    return rf_fail(c->err, RF_E_MODEL,
                   "%s: module %s is incomplete, or a mixture of two kinds of LoRA", c->path,
                   c->m->name);
}

/* ---- factors that fit each other ---------------------------------------------------------- */

static rf_status misfit(const check *c, const rf_tensor *a, const rf_tensor *b)
{
    char x[96], y[96];
    return rf_fail(c->err, RF_E_MODEL, "%s: %s %s does not fit %s %s", c->path, a->name,
                   rf_tensor_shape_text(a, x, sizeof x), b->name,
                   rf_tensor_shape_text(b, y, sizeof y));
}

static rf_status check_rank(const check *c, int64_t rank)
{
    if (rank <= RF_LORA_RANK_MAX) return RF_OK;
    return rf_fail(c->err, RF_E_MODEL, "%s: module %s has rank %" PRId64 "; at most %d is sensible",
                   c->path, c->m->name, rank, RF_LORA_RANK_MAX);
}

/* a [.., r] times b [r, ..]; their rank. */
static rf_status product(const check *c, rf_lora_role a, rf_lora_role b, int64_t *rank)
{
    const rf_tensor *x = has(c->m, a), *y = has(c->m, b);
    if (rf_lora_columns(x) != rf_lora_rows(y)) return misfit(c, x, y);
    *rank = rf_lora_rows(y);
    return check_rank(c, *rank);
}

/* A Tucker core [r, r, kernel] between a and b, both with r rows. */
static rf_status core(const check *c, rf_lora_role t, int64_t a_rank, rf_lora_role a,
                      rf_lora_role b)
{
    const rf_tensor *k = has(c->m, t), *x = has(c->m, a), *y = has(c->m, b);
    if (k->ndim < 2 || k->dim[0] != a_rank) return misfit(c, k, x);
    if (k->dim[1] != rf_lora_rows(y)) return misfit(c, k, y);
    const rf_status st = check_rank(c, a_rank);
    return st == RF_OK ? check_rank(c, k->dim[1]) : st;
}

static rf_status check_low_rank(const check *c, int64_t *rank)
{
    const rf_status st = product(c, RF_LORA_UP, RF_LORA_DOWN, rank);
    if (st != RF_OK || !has(c->m, RF_LORA_MID)) return st;
    return core(c, RF_LORA_MID, *rank, RF_LORA_UP, RF_LORA_DOWN);
}

static rf_status check_hadamard(const check *c, int64_t *rank)
{
    rf_status st = RF_OK;
    int64_t   second = 0;
    *rank = rf_lora_rows(has(c->m, RF_LORA_W1_B));
    if (has(c->m, RF_LORA_T1)) {
        RF_TRY(
            core(c, RF_LORA_T1, rf_lora_rows(has(c->m, RF_LORA_W1_A)), RF_LORA_W1_A, RF_LORA_W1_B));
        RF_TRY(
            core(c, RF_LORA_T2, rf_lora_rows(has(c->m, RF_LORA_W2_A)), RF_LORA_W2_A, RF_LORA_W2_B));
    } else {
        RF_TRY(product(c, RF_LORA_W1_A, RF_LORA_W1_B, rank));
        RF_TRY(product(c, RF_LORA_W2_A, RF_LORA_W2_B, &second));
    }
done:
    return st;
}

/* alpha goes by the rank of whichever side is factored; the second one's comes first (LyCORIS). */
static rf_status check_kronecker(const check *c, int64_t *rank)
{
    rf_status st = RF_OK;
    if (has(c->m, RF_LORA_K1_A)) RF_TRY(product(c, RF_LORA_K1_A, RF_LORA_K1_B, rank));
    if (has(c->m, RF_LORA_KT)) {
        RF_TRY(
            core(c, RF_LORA_KT, rf_lora_rows(has(c->m, RF_LORA_K2_A)), RF_LORA_K2_A, RF_LORA_K2_B));
        *rank = rf_lora_rows(has(c->m, RF_LORA_K2_B));
    } else if (has(c->m, RF_LORA_K2_A)) {
        RF_TRY(product(c, RF_LORA_K2_A, RF_LORA_K2_B, rank));
    }
done:
    return st;
}

static int64_t kernel_of(const rf_tensor *core)
{
    return (int64_t)(core->elems / (uint64_t)(core->dim[0] * core->dim[1]));
}

/* Both halves of a LoHa must make the same matrix. */
static rf_status check_halves(const check *c)
{
    const rf_tensor *a1 = has(c->m, RF_LORA_W1_A), *a2 = has(c->m, RF_LORA_W2_A);
    const rf_tensor *b1 = has(c->m, RF_LORA_W1_B), *b2 = has(c->m, RF_LORA_W2_B);
    const rf_tensor *t1 = has(c->m, RF_LORA_T1), *t2 = has(c->m, RF_LORA_T2);
    const int64_t    out1 = t1 ? rf_lora_columns(a1) : rf_lora_rows(a1);
    const int64_t    out2 = t1 ? rf_lora_columns(a2) : rf_lora_rows(a2);
    if (out1 != out2) return misfit(c, a1, a2);
    if (rf_lora_columns(b1) != rf_lora_columns(b2)) return misfit(c, b1, b2);
    if (t1 && kernel_of(t1) != kernel_of(t2)) return misfit(c, t1, t2);
    return RF_OK;
}

/* ---- every tensor alone ------------------------------------------------------------------- */

static rf_status check_tensor(const check *c, rf_lora_role role, const rf_tensor *t)
{
    char      shape[96];
    const int number = t->type == RF_FILE_F32 || t->type == RF_FILE_F16 || t->type == RF_FILE_BF16;
    if (role == RF_LORA_ALPHA ? t->elems != 1 : t->elems == 0 || t->ndim == 0)
        return rf_fail(c->err, RF_E_MODEL, "%s: %s has the shape %s", c->path, t->name,
                       rf_tensor_shape_text(t, shape, sizeof shape));
    if (!number && !(role == RF_LORA_ALPHA && (t->type == RF_FILE_F64 || t->type == RF_FILE_I64)))
        return rf_fail(c->err, RF_E_MODEL,
                       "%s: %s has the element type %s; LoRAs are F32, F16 or BF16", c->path,
                       t->name, rf_filetype_name(t->type));
    return RF_OK;
}

rf_status rf_lora_shapes_check(rf_lora_module *m, int sets, const char *path, rf_error *err)
{
    const check c = {.m = m, .path = path, .err = err};
    int64_t     rank = 0;
    rf_status   st = RF_OK;
    for (int i = 0; i < RF_LORA_ROLES; i++)
        if (m->tensor[i]) RF_TRY(check_tensor(&c, (rf_lora_role)i, m->tensor[i]));
    RF_TRY(find_kind(&c, sets));
    switch (m->kind) {
    case RF_LORA_LOW_RANK: RF_TRY(check_low_rank(&c, &rank)); break;
    case RF_LORA_HADAMARD:
        RF_TRY(check_hadamard(&c, &rank));
        RF_TRY(check_halves(&c));
        break;
    case RF_LORA_KRONECKER: RF_TRY(check_kronecker(&c, &rank)); break;
    default: break;
    }
    m->rank = (int)rank;
done:
    return st;
}

/* ---- what size they say ------------------------------------------------------------------- */

/* Of [rows, in(, kh, kw)]. */
static rf_lora_size size_of_weight(int64_t out, const rf_tensor *t)
{
    if (t->ndim <= 2) return (rf_lora_size){out, rf_lora_columns(t), 1, 1};
    return (rf_lora_size){out, t->dim[1], rf_lora_columns(t) / t->dim[1], 0};
}

static rf_lora_size size_of_kronecker(const rf_lora_module *m)
{
    const rf_tensor *a = has(m, RF_LORA_K1) ? has(m, RF_LORA_K1) : has(m, RF_LORA_K1_A);
    const rf_tensor *b = has(m, RF_LORA_K1) ? has(m, RF_LORA_K1) : has(m, RF_LORA_K1_B);
    const int64_t    outs = rf_lora_rows(a), ins = rf_lora_columns(b);
    rf_lora_size     s = {0};
    if (has(m, RF_LORA_KT)) {
        s = (rf_lora_size){rf_lora_columns(has(m, RF_LORA_K2_A)),
                           rf_lora_columns(has(m, RF_LORA_K2_B)), kernel_of(has(m, RF_LORA_KT)), 0};
    } else if (has(m, RF_LORA_K2)) {
        s = size_of_weight(rf_lora_rows(has(m, RF_LORA_K2)), has(m, RF_LORA_K2));
    } else {
        s = (rf_lora_size){rf_lora_rows(has(m, RF_LORA_K2_A)),
                           rf_lora_columns(has(m, RF_LORA_K2_B)), 1, 1};
    }
    s.out = rf_lora_times(s.out, outs);
    s.in = rf_lora_times(s.in, ins);
    return s;
}

rf_lora_size rf_lora_size_of(const rf_lora_module *m)
{
    switch (m->kind) {
    case RF_LORA_LOW_RANK:
        if (has(m, RF_LORA_MID))
            return (rf_lora_size){rf_lora_rows(has(m, RF_LORA_UP)),
                                  rf_lora_columns(has(m, RF_LORA_DOWN)),
                                  kernel_of(has(m, RF_LORA_MID)), 0};
        return size_of_weight(rf_lora_rows(has(m, RF_LORA_UP)), has(m, RF_LORA_DOWN));
    case RF_LORA_HADAMARD:
        if (has(m, RF_LORA_T1))
            return (rf_lora_size){rf_lora_columns(has(m, RF_LORA_W1_A)),
                                  rf_lora_columns(has(m, RF_LORA_W1_B)),
                                  kernel_of(has(m, RF_LORA_T1)), 0};
        return (rf_lora_size){rf_lora_rows(has(m, RF_LORA_W1_A)),
                              rf_lora_columns(has(m, RF_LORA_W1_B)), 1, 1};
    case RF_LORA_KRONECKER: return size_of_kronecker(m);
    default: break;
    }
    const rf_tensor *w = has(m, RF_LORA_WEIGHT);
    return w ? size_of_weight(rf_lora_rows(w), w) : (rf_lora_size){0};
}
