/* numpy's SeedSequence (after Melissa O'Neill's seed_seq_fe): entropy is hashed into a pool, every
 * word of which is mixed into every other; the spawn key is mixed in behind; a last hash gives the
 * words.  Only the pool of 24 words that torchsde asks for, so entropy of 64 bits always fits. */
#include "engine/sample/brownian.h"

enum { POOL = 24 };

typedef struct pool {
    uint32_t word[POOL];
    uint32_t hash; /* changes with every word hashed */
} pool;

static uint32_t hash(pool *p, uint32_t value)
{
    value ^= p->hash;
    p->hash *= 0x931E8875u;
    value *= p->hash;
    return value ^ value >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    const uint32_t z = 0xCA01F9DDu * x - 0x4973F715u * y;
    return z ^ z >> 16;
}

static void start(pool *p, uint64_t entropy)
{
    p->hash = 0x43B0D7E5u;
    for (int i = 0; i < POOL; i++) {
        const uint32_t word = i < 2 ? (uint32_t)(entropy >> (32 * i)) : 0;
        p->word[i] = hash(p, word);
    }
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++)
            if (from != to) p->word[to] = mix(p->word[to], hash(p, p->word[from]));
}

static void add_word(pool *p, uint32_t word)
{
    for (int i = 0; i < POOL; i++) p->word[i] = mix(p->word[i], hash(p, word));
}

void rf_seed_sequence(uint64_t entropy, const uint64_t *spawn_key, int keys, uint32_t *out,
                      int count)
{
    pool p;
    start(&p, entropy);
    for (int i = 0; i < keys; i++) {
        add_word(&p, (uint32_t)spawn_key[i]);
        if (spawn_key[i] >> 32) add_word(&p, (uint32_t)(spawn_key[i] >> 32));
    }
    uint32_t constant = 0x8B51F9DDu;
    for (int i = 0; i < count; i++) {
        uint32_t value = p.word[i % POOL] ^ constant;
        constant *= 0x58F38DEDu;
        value *= constant;
        out[i] = value ^ value >> 16;
    }
}
