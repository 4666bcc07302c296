/* The vocabulary; see merges.h.
 *
 * merges.txt spells tokens with one printable character per byte ("in g</w>").  The spellings are
 * needed only to learn the ids of each line's two tokens: afterwards a pair of ids is the key. */
#include "engine/text/merges.h"

#include "engine/text/vocab/vocab.h"

#include <stdlib.h>
#include <string.h>

enum {
    BYTES = 256,
    BYTE_TOKENS = 2 * BYTES,
    MERGES = 48894,
    SLOTS = 1 << 17,       /* of both hash tables: open addressing, 38% full */
    BYTE_SPELLING_MAX = 6, /* two bytes of UTF-8 and "</w>" */
};

typedef struct pair {
    uint32_t key;  /* left id << 16 | right id: ids fit in 16 bits */
    int32_t  rank; /* RF_NO_RANK in an empty slot */
} pair;

struct rf_merges {
    int32_t byte_id[BYTES]; /* inside a word; + 256 at its end */
    pair    pairs[SLOTS];
};

/* ---- pairs of ids
 * --------------------------------------------------------------------------------- */

static uint32_t pair_slot(const rf_merges *merges, uint32_t key)
{
    uint32_t slot = (key * 2654435769U) >> 15; /* Fibonacci hashing to 17 bits (Knuth 6.4) */
    while (merges->pairs[slot].rank != RF_NO_RANK && merges->pairs[slot].key != key)
        slot = (slot + 1) % SLOTS;
    return slot;
}

static uint32_t pair_key(int32_t left, int32_t right)
{
    return (uint32_t)left << 16 | (uint32_t)right;
}

int32_t rf_merges_rank(const rf_merges *merges, int32_t left, int32_t right)
{
    return merges->pairs[pair_slot(merges, pair_key(left, right))].rank;
}

int32_t rf_merges_token(int32_t rank)
{
    return BYTE_TOKENS + rank;
}

int32_t rf_merges_byte(const rf_merges *merges, unsigned char byte, bool ends_word)
{
    return merges->byte_id[byte] + (ends_word ? BYTES : 0);
}

/* ---- spellings, while the file is read
 * ------------------------------------------------------------ */

typedef struct spelling {
    const char *text; /* in spellings.text; NULL in an empty slot */
    size_t      bytes;
    int32_t     id;
} spelling;

typedef struct spellings {
    char     *text; /* all spellings, end to end */
    size_t    used;
    spelling *slot; /* [SLOTS] */
} spellings;

static spelling *spelling_slot(const spellings *all, const char *text, size_t bytes)
{
    uint32_t h = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++) h = (h ^ (unsigned char)text[i]) * 16777619U;
    spelling *s = &all->slot[h % SLOTS];
    while (s->text && !(s->bytes == bytes && memcmp(s->text, text, bytes) == 0))
        s = s == &all->slot[SLOTS - 1] ? all->slot : s + 1;
    return s;
}

/* Gives the spelling a + b the id; false if it has one already. */
static bool add_spelling(spellings *all, const char *a, size_t a_bytes, const char *b,
                         size_t b_bytes, int32_t id)
{
    char *text = all->text + all->used;
    memcpy(text, a, a_bytes);
    memcpy(text + a_bytes, b, b_bytes);
    all->used += a_bytes + b_bytes;
    spelling *s = spelling_slot(all, text, a_bytes + b_bytes);
    if (s->text) return false;
    *s = (spelling){.text = text, .bytes = a_bytes + b_bytes, .id = id};
    return true;
}

/* The id of a spelling, or -1. */
static int32_t find_spelling(const spellings *all, const char *text, size_t bytes)
{
    const spelling *s = spelling_slot(all, text, bytes);
    return s->text ? s->id : -1;
}

/* GPT-2's bytes_to_unicode: a printable byte of Latin-1 stands for itself and comes first, any
 * other for the next character from U+0100 on. */
static bool add_bytes(rf_merges *merges, spellings *all)
{
    int32_t printable = 0, other = 188; /* there are 188 printable ones */
    for (unsigned b = 0; b < BYTES; b++) {
        const bool     shown = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
        const int32_t  id = shown ? printable++ : other++;
        const unsigned code = shown ? b : BYTES + (unsigned)(id - 188);
        const char     ascii = (char)code;
        const char     utf8[2] = {(char)(0xC0 | code >> 6), (char)(0x80 | (code & 0x3F))};
        const char    *text = code < 0x80 ? &ascii : utf8;
        const size_t   bytes = code < 0x80 ? 1 : 2;
        merges->byte_id[b] = id;
        if (!add_spelling(all, text, bytes, "", 0, id) ||
            !add_spelling(all, text, bytes, "</w>", 4, BYTES + id))
            return false;
    }
    return true;
}

/* One line, "left right": the pair gets its rank and the token it makes its spelling. */
static bool add_merge(rf_merges *merges, spellings *all, int32_t rank, const char *line,
                      const char *end)
{
    const char *space = memchr(line, ' ', (size_t)(end - line));
    if (!space) return false;
    const size_t  left_bytes = (size_t)(space - line), right_bytes = (size_t)(end - space - 1);
    const int32_t left = find_spelling(all, line, left_bytes);
    const int32_t right = find_spelling(all, space + 1, right_bytes);
    if (left < 0 || right < 0) return false;
    pair *p = &merges->pairs[pair_slot(merges, pair_key(left, right))];
    *p = (pair){.key = pair_key(left, right), .rank = rank};
    return add_spelling(all, line, left_bytes, space + 1, right_bytes, rf_merges_token(rank));
}

static bool read_merges(rf_merges *merges, spellings *all)
{
    const char *text = (const char *)rf_vocab_merges;
    const char *end = text + rf_vocab_merges_bytes;
    for (size_t i = 0; i < SLOTS; i++) merges->pairs[i].rank = RF_NO_RANK;
    if (!add_bytes(merges, all)) return false;
    for (int32_t rank = 0; rank < MERGES; rank++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop || !add_merge(merges, all, rank, text, stop)) return false;
        text = stop + 1;
    }
    return text == end;
}

rf_status rf_merges_create(rf_merges **out, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_merges *merges = malloc(sizeof *merges);
    spellings  all = {.text = malloc(rf_vocab_merges_bytes + BYTE_TOKENS * BYTE_SPELLING_MAX),
                      .slot = calloc(SLOTS, sizeof *all.slot)};
    *out = NULL;
    if (!merges || !all.text || !all.slot) {
        st = rf_fail(err, RF_E_NOMEM, "tokenizer: the vocabulary");
        goto done;
    }
    if (!read_merges(merges, &all)) {
        st = rf_fail(err, RF_E_BUG, "tokenizer: merges.txt is not CLIP's");
        goto done;
    }
    *out = merges;
    merges = NULL;
done:
    rf_merges_destroy(merges);
    free(all.slot);
    free(all.text);
    return st;
}

void rf_merges_destroy(rf_merges *merges)
{
    free(merges);
}
