/* The judge: says what a picture of the demo's world shows, and how far it is from style "a" to
 * "b".
 *
 * A network of 65 thousand weights that has learnt from drawings of the world alone, never from a
 * generated picture (tools/demo-experts/train_judge.py), so that it measures the experts from
 * outside.  It looks at each of the three places by itself: one creature too many, or a second one
 * of another kind, is seen as such. */
#ifndef RF_JUDGE_H
#define RF_JUDGE_H

#include <stdint.h>

#include "kernels/status.h"
#include "tools/judge/scene.h"

typedef struct rf_judge rf_judge;

/* What the judge believes, and the probability it gives to that. */
typedef struct rf_belief {
    int    what;
    double sure;
} rf_belief;

typedef struct rf_reading {
    struct rf_place_reading {
        double    there;                   /* probability that a creature is */
        rf_belief kind, colour, accessory; /* of that creature, if there is one */
    } place[RF_PLACES];
    rf_belief background;
    double    style; /* 0: style "a" .. 1: style "b"; between: as a cross-fade of both would be */
} rf_reading;

/* Reads the weights.  RF_E_MODEL: a file of something else; the errors of rf_expert_open. */
rf_status rf_judge_open(rf_judge **out, const char *path, rf_error *err);
void      rf_judge_close(rf_judge *judge); /* NULL is fine */

/* rgb [RF_SIDE, RF_SIDE, 3].  Deterministic; needs no memory; safe from several threads. */
void rf_judge_read(const rf_judge *judge, const uint8_t *rgb, rf_reading *out);

#endif
