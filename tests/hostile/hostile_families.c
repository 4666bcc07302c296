/* The list of families; see hostile.h.  A new one is a function, a line here and a line there. */
#include "tests/hostile/hostile.h"

static hostile_family *const families[] = {
    hostile_s01,     hostile_s02,        hostile_s03,   hostile_s04,         hostile_s05,
    hostile_s06,     hostile_s07,        hostile_s08,   hostile_s09,         hostile_s10,
    hostile_s11,     hostile_s12,        hostile_s14,   hostile_s15,         hostile_s16,
    hostile_s17,     hostile_c,          hostile_loras, hostile_lora_shapes, hostile_vaes,
    hostile_folders, hostile_embeddings, hostile_levels};

hostile_family *hostile_family_at(int i)
{
    return i < (int)HOSTILE_COUNT(families) ? families[i] : 0;
}
