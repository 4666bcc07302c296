/* For relay tests on the emulated GPU: what comes out of a run, and which part of it is computed.
 *
 * A call of the tiny UNet takes a second there and a decoding three.  A test says in which phases
 * kernels are counted and not run (emu_runtime_skip): where the decoder's are, every picture is a
 * painted one, and where graphs are, the UNets predict zeros.  Copies, events, graphs and errors
 * are always done.
 *
 * The same tests run on a real GPU (tests/emulator/no_emulator.c), where everything is computed. */
#ifndef RF_TEST_RELAY_CUDA_H
#define RF_TEST_RELAY_CUDA_H

#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"
#include "tests/relay/relays.h"

enum { SHOTS = 8, SIDE = 64, LATENT = SIDE / 8 * (SIDE / 8) * 4 };

typedef struct shooting {
    rf_plan *plan;
    emu_skip skip[4];   /* in each rf_phase */
    int      stop_at;   /* the DENOISE report to stop at; -1: none */
    int      poison_at; /* the launch before which its first run gets a NaN; -1: none */
    int      vae_fails; /* painted pictures are said to have NaN */

    int     pictures, launches;    /* seen */
    float   latent[SHOTS][LATENT]; /* by job or, of one job, by picture */
    uint8_t rgb[SHOTS][SIDE * SIDE * 3];
    int     failures;
    char    message[RF_ERROR_BYTES]; /* of the last one */

    /* at the first launch; the same ever after */
    size_t   allocations;
    emu_held held;
} shooting;

/* Everything is computed. */
extern const shooting shooting_whole;
/* The pictures are painted; the latents are right. */
extern const shooting shooting_latents;
/* Nothing is computed. */
extern const shooting shooting_nothing;

/* Skips the test in the build with memory hooks: there one whole render is looked at, byte by byte,
 * and not every bit compared again. */
void fast_alone(void);

/* Opens two tiny experts on a GPU of the smallest class. */
void gpu_open(relays *r, rf_options options);
void gpu_start(relays *r, rf_options options); /* the engine alone */
/* Closes them; nothing may be left on the GPU, and the emulator has nothing to report. */
void gpu_stop(relays *r);
void gpu_close(relays *r);

/* Callbacks for s->plan.  Watches that nothing is taken from the first launch on, if experts stay
 * in memory. */
rf_callbacks shooting_callbacks(shooting *s);
/* Plans and runs. */
rf_status shoot(relays *r, const rf_job *jobs, int count, shooting *s, rf_error *err);
/* The same, which must work. */
void must_shoot(relays *r, const rf_job *jobs, int count, shooting *s);

/* Whether latent i of a and latent j of b are the same, bit for bit. */
int same_latent(const shooting *a, int i, const shooting *b, int j);

/* The smallest job: Euler, 64x64, no guidance. */
rf_job small_job(const rf_stage *stages, int count, int steps);

#endif
