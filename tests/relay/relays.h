/* For relay tests: an engine with two tiny experts, and the pictures of a job, kept for comparing.
 * Whatever fails in here fails the test. */
#ifndef RF_TEST_RELAYS_H
#define RF_TEST_RELAYS_H

#include "engine/refinery.h"
#include "engine/relay/plan.h"

enum { RELAYS_PICTURES = 8, RELAYS_WARNINGS = 8 };

/* Two tiny checkpoints (seeds 7 and 8), and an engine that has them open as expert[0 and 1]. */
typedef struct relays {
    char      *path[2];
    rf_engine *engine;
    rf_expert *expert[2];
    char       warning[RELAYS_WARNINGS][RF_ERROR_BYTES];
    int        warnings;
} relays;

/* `options` may be NULL: f32, one thread (Criterion runs tests side by side, and threads that wait
 * for each other on a busy machine take many times as long).  Warnings are always collected. */
void relays_open(relays *r, const rf_options *options);
void relays_close(relays *r);

/* The engine alone, over checkpoints that stay. */
void relays_start(relays *r, const rf_options *options);
void relays_stop(relays *r);

/* Hashes both files now, so that no run reports that it waits for that. */
void relays_hash(relays *r);

/* Euler, Karras, 64x64, seed 5, one picture, `steps` steps; the stages are the caller's. */
rf_job relays_job(const rf_stage *stages, int count, int steps);

/* What came out. */
typedef struct pictures {
    int      count, width, height;
    uint64_t seed[RELAYS_PICTURES];
    uint8_t *rgb[RELAYS_PICTURES];
    float   *latent[RELAYS_PICTURES];
    char    *parameters[RELAYS_PICTURES];
    char    *job[RELAYS_PICTURES];
} pictures;

rf_callbacks pictures_into(pictures *out); /* image callback alone */
void         pictures_free(pictures *p);

/* Plans, runs and frees a job. */
void relays_render(relays *r, const rf_job *job, pictures *out);

/* 1 if picture i of a and picture j of b have the same pixels and latents, bit for bit. */
int pictures_equal(const pictures *a, int i, const pictures *b, int j);

/* Fails the test, naming `what`, unless all pictures are equal; metadata too if asked. */
void pictures_expect_equal(const pictures *a, const pictures *b, const char *what, int metadata);

rf_plan *relays_plan(relays *r, const rf_job *job); /* rf_plan_create, which must work */

void must(rf_status st, const rf_error *err); /* be RF_OK */

#endif
