/* `refinery sweep` over an engine of a few lines: folders, exit codes, what is said, shards. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
}

TestSuite(sweep_cli, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 120);

#define SWEEP "sweep -m pony.safetensors -r anime.safetensors --size 64x64 -q -p fox "
#define SIX   SWEEP "--x 'Refiner switch at: 0.2-0.8 [3]' --y 'Seed: 1-2' "

static void expect(const char *command, int code, const char *said)
{
    rf_spawn_expect(&r, command, code, said);
}

static json_t *expect_json(const char *command, int code)
{
    expect(command, code, "");
    json_t *o = json_loads(r.out, 0, NULL);
    cr_assert_not_null(o, "%s: %s", command, r.out);
    return o;
}

static int number(const json_t *o, const char *key)
{
    return (int)json_integer_value(json_object_get(o, key));
}

/* Two shell commands must print the same. */
static void expect_equal_files(const char *a, const char *b)
{
    char command[300];
    snprintf(command, sizeof command, "version >/dev/null; cmp %s %s", a, b);
    expect(command, 0, "");
}

/* ---- what it writes and says ------------------------------------------------------------------
 */

Test(sweep_cli, cells_grid_page_and_lines)
{
    static const char *const FILES[] = {
        "sweep/cells/x00-y00-z00.png", "sweep/cells/x02-y01-z00.png", "sweep/grid.png",
        "sweep/report.html",           "sweep/results.jsonl",         "sweep/journal.sqlite"};
    expect(SIX, 0, "");
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        cr_expect(rf_spawn_exists(FILES[i]), "%s", FILES[i]);
    cr_expect(strstr(r.out, "sweep/cells/x00-y00-z00.png\n"));
    cr_expect(strstr(r.out, "sweep/grid.png\nsweep/report.html\n"));
    cr_expect_str_eq(r.err, "");
}

/* The lines tell the seed that was used, also where a double would be another. */
Test(sweep_cli, large_seeds_are_told_exactly)
{
    expect(SWEEP "--x 'Seed: 9007199254740993, 9223372036854775807' --no-grid", 0, "");
    expect("version && cat sweep/results.jsonl", 0, "");
    cr_expect(strstr(r.out, "\"value\":9007199254740993}"), "%s", r.out);
    cr_expect(strstr(r.out, "\"value\":9223372036854775807}"), "%s", r.out);
}

Test(sweep_cli, a_grid_for_every_z)
{
    json_t *o = expect_json(SWEEP "--x 'Seed: 1-2' --z 'Steps: 3, 4' -o grids --json", 0);
    json_t *grids = json_object_get(json_object_get(o, "paths"), "grids");
    cr_assert_eq(json_array_size(grids), 2u);
    for (size_t i = 0; i < 2; i++) {
        const char *path = json_string_value(json_array_get(grids, i));
        cr_expect(rf_spawn_exists(path), "%s", path);
    }
    json_decref(o);
    o = expect_json(SWEEP "--x 'Seed: 1-2' -o bare --no-grid --no-report --json", 0);
    cr_expect_not(rf_spawn_exists("bare/grid.png"));
    cr_expect_not(rf_spawn_exists("bare/report.html"));
    cr_expect(rf_spawn_exists("bare/results.jsonl"));
    json_decref(o);
}

Test(sweep_cli, the_summary_has_the_documented_keys)
{
    static const char *const KEYS[] = {
        "schema",      "folder",       "cells",  "done",     "failed",  "done_before",
        "calls_naive", "calls_shared", "saving", "launches", "planned", "ranks",
        "shard",       "timings_s",    "paths",  "device",   "warnings"};
    json_t *o = expect_json(SIX "--json", 0);
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        cr_expect(json_object_get(o, KEYS[i]), "%s", KEYS[i]);
    cr_expect_eq(number(o, "cells"), 6);
    cr_expect_eq(number(o, "done"), 6);
    json_decref(o);
}

/* 6 cells of 30 calls, of which the fake engine shares none. */
static void expect_calls(const char *command, int made, const char *shard)
{
    json_t       *o = expect_json(command, 0);
    const json_t *planned = json_object_get(o, "planned");
    const char   *of = json_string_value(json_object_get(o, "shard"));
    cr_expect_eq(number(o, "calls_shared"), made, "%s: %d", command, number(o, "calls_shared"));
    cr_expect_eq(number(o, "calls_naive"), made, "%s: %d", command, number(o, "calls_naive"));
    cr_expect_eq(number(o, "launches"), made);
    cr_expect_eq(number(planned, "calls_shared"), 180);
    cr_expect_eq(number(planned, "calls_naive"), 180);
    cr_expect_eq(number(o, "ranks"), 1);
    cr_expect(shard ? of && strcmp(of, shard) == 0 : !of);
    json_decref(o);
}

/* By this process, in this sitting. */
Test(sweep_cli, calls_are_those_that_were_made)
{
    expect_calls(SIX "--json", 180, NULL);
    expect_calls(SIX "--json --resume", 0, NULL);
    expect("version && rm sweep/cells/x01-y00-z00.png", 0, "");
    expect_calls(SIX "--json --resume", 30, NULL);
    expect_calls(SIX "-o p --json --shard 1/3", 60, "1/3");
    expect_calls(SIX "-o p --json --resume", 120, NULL);
    expect("sweep -m pony.safetensors --size 64x64 -p fox --x 'Seed: 1-4' --progress none -o q "
           "--shard 2/2",
           0, "2 of 2 cells are done, 0 failed; 60 calls by shard 2/2 instead of 60");
    expect("sweep -m pony.safetensors --size 64x64 -p fox --x 'Seed: 1-4' --progress none -o q "
           "--resume",
           0, "60 calls in this sitting instead of 60");
    expect(SIX "--dry-run --shard 1/3 --seconds-per-call 1", 0, "");
    cr_expect(strstr(r.out, "of this shard                       60\n"), "%s", r.out);
}

Test(sweep_cli, dry_run_tells_everything_and_writes_nothing)
{
    json_t *o = expect_json(SIX "--dry-run --json", 0);
    cr_expect_eq(number(o, "cells"), 6);
    cr_expect_eq(number(o, "calls_naive"), 180);
    cr_expect_gt(number(o, "peak_bytes"), 0);
    const json_t *e = json_object_get(o, "estimate_s");
    cr_expect(json_is_true(json_object_get(e, "measured")));
    cr_expect_geq(json_number_value(json_object_get(e, "total")), 0);
    json_decref(o);
    expect(SIX "--dry-run --seconds-per-call 2", 0, "");
    cr_expect(strstr(r.out, "about 0:06:00 (at 2 s a call"), "%s", r.out);
    cr_expect_not(rf_spawn_exists("sweep"));
}

/* Who sweeps over the switch point means both of its ends; who does not hears what he gets. */
Test(sweep_cli, the_ends_of_a_switch_axis_are_meant)
{
#define LOUD "sweep -m pony.safetensors -r anime.safetensors --size 64x64 -p fox --progress none "
    expect(LOUD "--x 'Refiner switch at: 0, 0.5, 1'", 0, "");
    cr_expect_null(strstr(r.err, "warning"), "%s", r.err);
    expect(LOUD "--x 'Seed: 1-2' --switch-at 1 -o other", 0, "makes no call and is dropped");
}

Test(sweep_cli, a_plan_is_the_same_sweep)
{
    rf_spawn_write("plan.json", "{\"x\": {\"axis\": \"Refiner switch at\", \"values\": [\"0.2-0.8 "
                                "[3]\"]}, \"y\": {\"axis\": \"Seed\", \"values\": [1, 2]}}");
    expect(SIX, 0, "");
    json_t *o = expect_json(SWEEP "--plan plan.json --resume --json", 0);
    cr_expect_eq(number(o, "done_before"), 6);
    json_decref(o);
}

/* ---- folders ----------------------------------------------------------------------------------
 */

Test(sweep_cli, what_stands_there_is_not_touched)
{
    expect("version && mkdir full empty && echo mine > full/diary && echo x > file", 0, "");
    expect(SIX "-o full", 73, "is not empty");
    expect(SIX "-o full --resume", 66, "no journal");
    expect(SIX "-o file", 73, "not a folder");
    expect(SIX "-o file --overwrite", 73, "hint: --output names another");
    expect(SIX "-o nowhere/out", 73, "nowhere/out");
    expect(SIX "-o empty", 0, "");
    expect(SIX "-o file:empty", 0, ""); /* a URI to SQLite */
    cr_expect(rf_spawn_exists("file:empty/journal.sqlite"));
    expect(SIX "-o file:empty --resume", 0, "");
    expect(SIX "-o empty", 73, "--resume goes on");
    expect(SIX "-o full --overwrite", 0, "");
    cr_expect(rf_spawn_exists("full/diary"));
    expect(SIX "-o full --overwrite --resume", 2, "give one");
    rf_spawn_write("full/cells/x77-y77-z77.png", "an older sweep's");
    expect(SIX "-o full --overwrite", 0, "");
    cr_expect(rf_spawn_exists("full/cells/x77-y77-z77.png"));
}

Test(sweep_cli, what_no_sweep_made_is_not_replaced)
{
    expect("version && mkdir other && echo mine > other/report.html", 0, "");
    expect(SIX "-o other --overwrite", 73, "other/report.html exists");
    expect("version && grep -q mine other/report.html", 0, "");
}

Test(sweep_cli, resume_makes_what_is_missing_and_nothing_else)
{
    expect(SIX, 0, "");
    expect("version && cp -r sweep before && rm sweep/cells/x01-y00-z00.png && echo broken > "
           "sweep/cells/x02-y01-z00.png && echo t > sweep/cells/.x00-y00-z00.png.01234567.tmp && "
           "echo t > sweep/cells/.mine.png.01234567.tmp && echo t > sweep/.grid.png.89abcdef.tmp",
           0, "");
    json_t *o = expect_json(SIX "--resume --json", 0);
    cr_expect_eq(number(o, "done_before"), 4);
    cr_expect_eq(number(o, "done"), 6);
    cr_expect_eq(json_array_size(json_object_get(o, "warnings")), 1u);
    json_decref(o);
    expect_equal_files("before/cells/x01-y00-z00.png", "sweep/cells/x01-y00-z00.png");
    expect_equal_files("before/cells/x02-y01-z00.png", "sweep/cells/x02-y01-z00.png");
    expect_equal_files("before/grid.png", "sweep/grid.png");
    cr_expect_not(rf_spawn_exists("sweep/cells/.x00-y00-z00.png.01234567.tmp"));
    cr_expect_not(rf_spawn_exists("sweep/.grid.png.89abcdef.tmp"));
    cr_expect(rf_spawn_exists("sweep/cells/.mine.png.01234567.tmp"), "it is not ours");
}

Test(sweep_cli, another_sweep_is_never_gone_on_with)
{
    static const char *const OTHERS[] = {
        SWEEP "--x 'Refiner switch at: 0.2-0.8 [3]' --y 'Seed: 1-3' --resume",
        SIX "--steps 20 --resume",
        SIX "--cfg-scale 5 --resume",
        SIX "-n blurry --resume",
        SIX "--sampler Euler --resume",
        SIX "--refiner-prompt cat --resume",
        SIX "--refiner-sampler LMS --resume",
        SIX "--eta 0.5 --resume",
        SIX "--compat a1111 --resume",
        SIX "--rng cpu --resume",
        SIX "--variation-strength 0.1 --variation-seed 3 --resume"};
    expect(SIX, 0, "");
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        expect(OTHERS[i], 2, "belongs to another sweep: there '");
    rf_spawn_write("anime.safetensors", "SDXL three");
    expect(SIX "--resume", 2, "there 'file: anime ");
    rf_spawn_write("anime.safetensors", "SDXL two");
    expect(SIX "--resume --threads 3 --batch 4 --memory 2G --progress none", 0, "");
}

Test(sweep_cli, a_damaged_journal_is_told)
{
    expect(SIX, 0, "");
    expect("version && truncate -s 5000 sweep/journal.sqlite", 0, "");
    expect(SIX "--resume", 65, "journal.sqlite is damaged");
    expect(SIX "--overwrite", 0, "");
}

/* ---- failures ---------------------------------------------------------------------------------
 */

Test(sweep_cli, a_cell_that_fails_is_recorded_and_the_rest_goes_on)
{
    static const char COMMAND[] = SWEEP "--x 'Prompt S/R: fox, !nan, cat' --json ";
    char              again[400];
    json_t           *o = expect_json(COMMAND, 3);
    cr_expect_eq(number(o, "done"), 2);
    cr_expect_eq(number(o, "failed"), 1);
    json_decref(o);
    expect("version && grep -c 'step 2 produced NaN' sweep/results.jsonl", 0, "");
    cr_expect(strstr(r.out, "\n1\n"), "%s", r.out);
    cr_expect_not(rf_spawn_exists("sweep/cells/x01-y00-z00.png"));
    snprintf(again, sizeof again, "%s--resume", COMMAND);
    o = expect_json(again, 3);
    cr_expect_eq(number(o, "done_before"), 3);
    json_decref(o);
}

Test(sweep_cli, other_errors_end_it_and_it_can_go_on)
{
    expect(SWEEP "--x 'Prompt S/R: fox, !nomem, cat'", 75, "no memory");
    cr_expect(rf_spawn_exists("sweep/cells/x00-y00-z00.png"));
    expect(SWEEP "--x 'Prompt S/R: fox, !nomem, cat' --resume", 75, "no memory");
}

Test(sweep_cli, a_full_disk_ends_it_and_it_can_go_on)
{
    expect("version && (ulimit -f 8; " RF_COMMAND " " SIX "--size 256x256)", 74, "");
    expect(SIX "--size 256x256 --resume", 0, "");
}

Test(sweep_cli, a_signal_stops_it_and_tells_how_to_go_on)
{
    char       *words[] = {"sweep", "-m",  "pony.safetensors", "--size",
                           "64x64", "-p",  "fox !slow",        "--steps",
                           "20",    "--x", "Seed: 1-9",        NULL};
    const pid_t pid = rf_spawn_start(words);
    cr_assert(rf_spawn_await("out", "x00-y00-z00.png"));
    kill(pid, SIGTERM);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 143, "%d: %s", r.code, r.err);
    cr_expect(strstr(r.err, "the same command with --resume goes on"), "%s", r.err);
    cr_expect_not(rf_spawn_exists("sweep/cells/x08-y00-z00.png"));
    cr_expect_not(rf_spawn_exists("sweep/report.html"));
}

/* Before anything is written, while a large checkpoint is read for its SHA-256. */
Test(sweep_cli, a_signal_is_heard_while_files_are_hashed)
{
    char *words[] = {"sweep", "-m", "slow.safetensors", "-p", "fox", "--x", "Seed: 1-9", NULL};
    rf_spawn_write("slow.safetensors", "SDXL one");
    const pid_t pid = rf_spawn_start(words);
    cr_assert(rf_spawn_await("err", "reading slow.safetensors"), "nothing is said meanwhile");
    const time_t asked = time(NULL);
    kill(pid, SIGINT);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 130, "%d: %s", r.code, r.err);
    cr_expect_lt(time(NULL) - asked, 3);
    cr_expect_not(rf_spawn_exists("sweep"));
}

Test(sweep_cli, two_at_once_are_refused)
{
    char       *words[] = {"sweep", "-m",  "pony.safetensors", "--size",
                           "64x64", "-p",  "fox !slow",        "--steps",
                           "20",    "--x", "Seed: 1-9",        NULL};
    const pid_t pid = rf_spawn_start(words);
    cr_assert(rf_spawn_await("out", "x00-y00-z00.png"));
    expect("sweep -m pony.safetensors --size 64x64 -p 'fox !slow' --steps 20 --x 'Seed: 1-9' "
           "--resume",
           74, "another process is at work");
    kill(pid, SIGINT);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 130);
}

/* However close behind each other: one is at work, and its journal is not replaced. */
Test(sweep_cli, of_those_that_begin_again_together_one_does)
{
    static const char RACE[] =
        "version; for i in 1 2 3; do (" RF_COMMAND " sweep -m pony.safetensors --size 64x64 "
        "-q -p 'fox !slow' --steps 32 --x 'Seed: 1-2' --overwrite >/dev/null 2>&1; echo $? > "
        "code-$i) & done; wait; cat code-* | sort | tr '\n' ' '";
    for (int i = 0; i < 3; i++) {
        expect(RACE, 0, "");
        cr_expect(strstr(r.out, "0 74 74 "), "%s", r.out);
    }
}

/* ---- the command line ---------------------------------------------------------------------------
 */

Test(sweep_cli, mistakes_are_named)
{
    rf_spawn_write("bad.json", "{\"x\": 1}");
    expect(SWEEP, 2, "nothing is varied");
    expect("sweep --x 'Seed: 1-2'", 2, "--base is missing");
    expect(SWEEP "--x 'Sed: 1-2'", 2, "did you mean 'Seed'");
    expect(SWEEP "--x 'Steps: 0-2'", 2, "--x");
    expect(SWEEP "--x 'Seed: 1' --plan p.json", 2, "--plan and --x");
    expect(SWEEP "--plan p.json", 66, "p.json");
    expect(SWEEP "--plan bad.json", 65, "bad.json");
    expect(SWEEP "--x 'Seed: 1-4' --shard 3/2", 2, "--shard");
    expect(SWEEP "--x 'Steps: 3-4' --shard 1/2 --seed random", 2, "a seed of its own");
    expect(SWEEP "--x 'Seed: 3, random' --shard 1/2", 2, "drawn anew");
    expect(SWEEP "--x 'Var. seed: -1' --resume", 2, "drawn anew");
    expect(SWEEP "--x 'Refiner checkpoint: no.safetensors'", 66, "no.safetensors");
    cr_expect_not(rf_spawn_exists("sweep"));
}

Test(sweep_cli, progress_counts_cells_and_calls)
{
    expect("sweep -m pony.safetensors --size 64x64 -p fox --steps 4 --x 'Seed: 1-2' --progress "
           "json",
           0, "\"cells\":2");
    cr_expect(strstr(r.err, "\"cells_done\":0"));
    cr_expect(strstr(r.err, "\"calls_done\":0"));
    expect("sweep -m pony.safetensors --size 64x64 -p fox --steps 4 --x 'Seed: 1-2' --progress "
           "plain -o p",
           0, "cells 0/2 | pony | calls 0/4");
    cr_expect(strstr(r.err, "2 of 2 cells are done"));
}

Test(sweep_cli, axes_are_completed)
{
    rf_spawn(&r, "completion bash > c.bash; bash -c '. ./c.bash; COMP_WORDS=(refinery sweep --x "
                 "Refiner\\ sw); COMP_CWORD=3; _refinery; echo \"${COMPREPLY[@]}\"'");
    cr_expect_str_eq(r.out, "Refiner\\ switch\\ at\n", "%s", r.out);
}

/* ---- shards -------------------------------------------------------------------------------------
 */

Test(sweep_cli, shards_are_gathered)
{
    expect(SIX "-o whole", 0, "");
    expect(SIX "-o parts --shard 1/3", 0, "");
    cr_expect_not(rf_spawn_exists("parts/grid.png"));
    expect(SIX "-o parts --shard 1/3", 73, "journal-1-of-3.sqlite exists");
    expect(SIX "-o parts --shard 2/3", 0, "");
    expect(SIX "-o parts --resume --steps 7", 2, "belongs to another sweep");
    cr_expect_not(rf_spawn_exists("parts/journal.sqlite")); /* nor in the way of the right one */
    json_t *o = expect_json(SIX "-o parts --resume --json", 0); /* what shard 3 has not made, too */
    cr_expect_eq(number(o, "done_before"), 4);
    cr_expect_eq(number(o, "done"), 6);
    json_decref(o);
    expect("version && for f in whole/cells/*.png whole/grid.png; do cmp $f parts/${f#whole/} || "
           "exit 9; done",
           0, "");
}

#define OTHER SIX "--steps 7 "

Test(sweep_cli, a_shard_of_another_sweep_is_refused)
{
    expect(SIX "-o parts --shard 1/4", 0, "");
    expect("version && ls -R parts > before", 0, "");
    expect(OTHER "-o parts --shard 3/4", 2,
           "sweep.identity belongs to another sweep: there 'steps");
    expect(OTHER "-o parts --shard 3/4 --resume", 2, "belongs to another sweep");
    expect(OTHER "-o parts --shard 1/4 --resume", 2, "belongs to another sweep");
    expect(OTHER "-o parts --resume", 2, "belongs to another sweep");
    expect(SIX "-o parts --shard 2/3", 73, "a journal of --shard 1/4");
    expect("version && ls -R parts | cmp - before", 0, "");
    expect("version && mkdir mine && echo dear > mine/diary", 0, "");
    expect(SIX "-o mine --shard 1/4", 73, "is not empty");
    expect(SIX "-o mine --shard 1/4 --resume", 66, "no journal");
    expect("version && ls -A mine", 0, "");
    cr_expect(strstr(r.out, "\ndiary\n") && !strstr(r.out, "journal"), "%s", r.out);
}

/* Killed between sweep.identity and the journal; and in the middle of making the first. */
Test(sweep_cli, a_folder_that_has_its_identity_alone_is_empty)
{
    static const char *const AGAIN[] = {SIX, SIX "--resume", SIX "--shard 2/3",
                                        SIX "--shard 2/3 --resume"};
    expect(SIX "-o made", 0, "");
    for (size_t i = 0; i < sizeof AGAIN / sizeof *AGAIN; i++) {
        expect("version && rm -rf sweep && mkdir sweep && cp made/sweep.identity sweep && "
               "cp made/sweep.identity sweep/.sweep.identity.01234567.tmp",
               0, "");
        expect(OTHER, 2, "belongs to another sweep");
        expect(OTHER "--shard 1/3", 2, "belongs to another sweep");
        expect(AGAIN[i], 0, "");
        cr_expect_eq(rf_spawn_exists("sweep/.sweep.identity.01234567.tmp"), i >= 2);
    }
    expect("version && rm -rf sweep && mkdir sweep && echo refinery > sweep/sweep.identity", 0, "");
    expect(SIX, 73, "is left alone");
    expect(SIX "--overwrite", 73, "hint: --output names another");
    expect("version && printf 'refinery sweep 1\nab' > sweep/sweep.identity", 0, "");
    expect(SIX "--resume", 65, "sweep.identity is damaged");
    expect(SIX "--overwrite", 0, "");
    expect("version && cmp made/sweep.identity sweep/sweep.identity", 0, "");
}

/* They left journals and no sweep.identity. */
Test(sweep_cli, folders_of_earlier_versions_are_compared_by_their_journals)
{
    expect(SIX "-o alone", 0, "");
    expect(SIX "-o 'p%?a#rts' --shard 1/3", 0, "");
    expect("version && rm alone/sweep.identity p*/sweep.identity", 0, "");
    expect(OTHER "-o alone --resume", 2, "journal.sqlite belongs to another sweep");
    expect(OTHER "-o 'p%?a#rts' --shard 2/3", 2, "journal-1-of-3.sqlite belongs to another sweep");
    expect(OTHER "-o 'p%?a#rts' --resume", 2, "belongs to another sweep");
    cr_expect_not(rf_spawn_exists("alone/sweep.identity"));
    cr_expect_not(rf_spawn_exists("p%?a#rts/sweep.identity"));
    expect(SIX "-o alone --resume", 0, "");
    expect(SIX "-o 'p%?a#rts' --shard 2/3", 0, "");
    expect(SIX "-o 'p%?a#rts' --resume", 0, "");
    expect_equal_files("alone/sweep.identity", "p*/sweep.identity");
}

/* Six shards of two sweeps begin at the same moment in one empty folder: it becomes that of one,
 * and the others are refused before they have made anything. */
Test(sweep_cli, shards_that_begin_together_are_of_one_sweep)
{
    static const char RACE[] = "version; for i in 1 2 3; do for n in 9 7; do (" RF_COMMAND " " SIX
                               "-o race --shard $i/3 --steps $n >/dev/null 2>&1; echo $? > "
                               "code-$n-$i) & done; done; wait; "
                               "for n in 9 7; do cat code-$n-* | tr -d '\n'; echo; done";
    for (int i = 0; i < 8; i++) {
        expect(RACE, 0, "");
        const int nine = strstr(r.out, "\n000\n222\n") != NULL;
        cr_expect(nine || strstr(r.out, "\n222\n000\n"), "%s", r.out);
        expect(nine ? SIX "-o race --resume --json --steps 9"
                    : SIX "-o race --resume --json "
                          "--steps 7",
               0, "");
        cr_expect(strstr(r.out, "\"done_before\": 6") || strstr(r.out, "\"done_before\":6"), "%s",
                  r.out);
        expect("version && rm -r race", 0, "");
    }
}

/* The same over an older sweep of another number of shards: what is in nobody's way goes once. */
Test(sweep_cli, shards_begin_again_together)
{
    static const char RACE[] =
        "version; for i in $SHARDS; do (" RF_COMMAND " " SIX
        "-o race --shard $i/${SHARDS##* } --steps 1${SHARDS##* } --overwrite >/dev/null 2>code-$i; "
        "echo $? >> code-$i) & done; wait; cat code-*; rm code-*";
    for (int i = 0; i < 9; i++) {
        setenv("SHARDS", i % 2 ? "1 2" : "1 2 3", 1);
        expect(RACE, 0, "");
        cr_expect(strstr(r.out, i % 2 ? "\n0\n0\n" : "\n0\n0\n0\n"), "%s", r.out);
        cr_expect_eq(rf_spawn_exists("race/journal-2-of-2.sqlite"), i % 2);
        cr_expect_eq(rf_spawn_exists("race/journal-2-of-3.sqlite"), i % 2 == 0);
    }
    json_t *o = expect_json(SIX "-o race --resume --json --steps 13", 0);
    cr_expect_eq(number(o, "done_before"), 6);
    json_decref(o);
}

Test(sweep_cli, beginning_again_clears_journals_of_either_kind)
{
    expect(OTHER "-o p --shard 1/2", 0, "");
    expect(SIX "-o p --overwrite", 0, "");
    cr_expect_not(rf_spawn_exists("p/journal-1-of-2.sqlite"));
    expect(SIX "-o p --resume", 0, "");
    expect(OTHER "-o p --shard 1/2 --overwrite", 0, "");
    cr_expect_not(rf_spawn_exists("p/journal.sqlite"));
    cr_expect_not(rf_spawn_exists("p/grid.png"), "it is the former sweep's");
    expect(OTHER "-o p --shard 2/2 --overwrite", 0, "");
    cr_expect_not(strstr(r.err, "not of this sweep"), "the other shard's are: %s", r.err);
    cr_expect(rf_spawn_exists("p/journal-1-of-2.sqlite"));
    json_t *o = expect_json(OTHER "-o p --resume --json", 0);
    cr_expect_eq(number(o, "done_before"), 6);
    json_decref(o);
    expect("version && echo text > p/journal-1-of-3.sqlite", 0, "");
    expect(SIX "-o p --overwrite", 73, "is not the journal of a sweep");
    cr_expect(strstr(r.err, "hint: --output names another"), "%s", r.err);
    expect(OTHER "-o p --shard 1/2 --resume", 0, ""); /* nothing has been done to it */
}

Test(sweep_cli, grids_of_an_earlier_sweep_do_not_stay)
{
#define GRIDS SWEEP "--x 'Seed: 1-2' "
    expect(GRIDS "--z 'Steps: 3-5'", 0, "");
    expect(GRIDS "--z 'Steps: 3-4' --overwrite --no-report", 0, "");
    cr_expect(rf_spawn_exists("sweep/grid-z01.png"));
    cr_expect_not(rf_spawn_exists("sweep/grid-z02.png"));
    cr_expect_not(rf_spawn_exists("sweep/report.html"));
    rf_spawn_write("sweep/grid-z02.png", "an older sweep's");
    rf_spawn_write("sweep/grid.png", "an older sweep's");
    rf_spawn_write("sweep/grid-zoo.png", "mine");
    json_t *o = expect_json(GRIDS "--z 'Steps: 3-4' --resume --json", 0);
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(o, "warnings"), 0)),
                     "sweep/grid-z02.png and 1 more are not of this sweep");
    json_decref(o);
    expect("version && mkdir other && echo mine > other/grid-z00.png", 0, "");
    expect(GRIDS "--z 'Steps: 3-4' -o other --overwrite", 73, "other/grid-z00.png exists");
}

Test(sweep_cli, one_shard_of_one_is_all_of_it)
{
    for (int again = 0; again < 2; again++) expect(SIX "-o all --shard 1/1 --resume", 0, "");
    cr_expect(rf_spawn_exists("all/grid.png"));
    cr_expect(rf_spawn_exists("all/journal.sqlite"));
}
