/* Who is at work, how fast, and how long it will take. */
#ifndef RF_PROGRESS_H
#define RF_PROGRESS_H

#include "engine/refinery.h"
#include "tools/console.h"

typedef enum rf_meter_mode {
    RF_METER_NONE,
    RF_METER_BAR,   /* one line of the terminal, redrawn */
    RF_METER_PLAIN, /* lines at the start, the first switch, the end, and every 10 s */
    RF_METER_JSON,  /* one object per line on stderr, at most 10 a second */
} rf_meter_mode;

/* `how` is "auto", "bar", "plain", "json" or "none"; auto is the bar on a terminal. */
rf_meter_mode rf_meter_mode_of(const rf_console *console, const char *how);

enum { RF_METER_STAGES = 64, RF_METER_NAME = 64 };

typedef struct rf_meter {
    rf_console   *console;
    rf_meter_mode mode;
    int           steps, count, batch; /* of the job */
    int           stage_count;
    struct {
        char name[RF_METER_NAME]; /* the expert's, made safe for terminals */
        int  first_step, steps;   /* 0 steps: dropped */
    } stages[RF_METER_STAGES];
    double      started, shown;    /* seconds: when begun, and last printed */
    double      last;              /* when `now` was reported */
    double      step_s, picture_s; /* measured: a step, a decoding; 0 until known */
    rf_progress now;               /* last report; its expert is not kept */
    int         told;              /* something has been printed, */
    int         told_stage;        /* at this stage */
    rf_phase    told_phase;        /* and in this phase */
    int         told_preview;      /* where previews are */

    int pass, passes; /* of one that follows on others, from 0; passes 0: there is one */

    /* of a plan of many jobs, where `count` is their number and step_s a call */
    int     many;                  /* 1: such a plan is at work */
    int     finished, workers;     /* jobs, of all workers */
    int64_t later;                 /* calls of plans that follow; else steps of further passes */
    char    expert[RF_METER_NAME]; /* at work, made safe for terminals */
} rf_meter;

/* Times are seconds of one monotonic clock: rf_meter_clock, or a test's own. */
double    rf_meter_clock(void);
rf_status rf_meter_begin(rf_meter *meter, rf_console *console, rf_meter_mode mode,
                         const rf_plan *plan, const rf_job *job, double at, rf_error *err);

/* For plans of many jobs, one after the other: of `count` jobs `finished` are done already.
 * `workers`: how many processes share the rest. */
void rf_meter_begin_many(rf_meter *meter, rf_console *console, rf_meter_mode mode, int count,
                         int finished, int workers, double at);
void rf_meter_plan(rf_meter *meter, int64_t later);    /* a plan begins; calls that follow it */
void rf_meter_finished(rf_meter *meter, int finished); /* jobs, by now */

/* Which of several passes to the same pictures has begun, and how many steps, of batches, those
 * that follow have. */
void rf_meter_pass(rf_meter *meter, int pass, int passes, int64_t later);

void rf_meter_update(rf_meter *meter, const rf_progress *progress, double at);
/* A preview is in that file: people are told once, programs each time. */
void rf_meter_preview(rf_meter *meter, const char *path, const rf_preview *preview);
void rf_meter_end(rf_meter *meter);

/* What the bar says, in at most `columns` columns: "pony 12/15 | animagine 0/15 | 1.9 s/step |
 * 0:34 left"; of many jobs: "cells 3/9 | animagine | calls 40/162 | 1.9 s/call | 3:45 left". */
void rf_meter_line(const rf_meter *meter, char *out, size_t bytes, int columns);

/* Seconds the rest will take; negative while unknown. */
double rf_meter_left(const rf_meter *meter);

#endif
