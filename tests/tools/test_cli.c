/* The refinery command from outside: what it prints where, and its exit codes.  The engine behind
 * it is fake_engine.c; the program is the real one. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
    rf_spawn_write("lora.safetensors", "LoRA");
    rf_spawn_write("cut.safetensors", "SD");
}

TestSuite(cli, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

static void expect(const char *command, int code, const char *said)
{
    rf_spawn_expect(&r, command, code, said);
}

/* ---- results ------------------------------------------------------------------------------ */

Test(cli, render_prints_the_path_and_nothing_else)
{
    expect(RF_SPAWN_BOTH "-p '1girl'", 0, "");
    cr_assert_str_eq(r.out, "out.png\n");
    cr_assert_str_eq(r.err, "");
    cr_assert(rf_spawn_exists("out.png"));
}

Test(cli, several_pictures_get_names_of_their_own)
{
    expect(RF_SPAWN_BOTH "--count 3 --batch 2", 0, "");
    cr_expect_str_eq(r.out, "out-0.png\nout-1.png\nout-2.png\n");
    expect(RF_SPAWN_BOTH "--count 2 --seed 41 -o 'a {seed} {index}.png'", 0, "");
    cr_expect_str_eq(r.out, "a 41 0.png\na 42 1.png\n");
    expect(RF_SPAWN_BOTH "--count 2 -o one.png", 2, "need {index} or {seed}");
    cr_expect(!rf_spawn_exists("one.png"));
}

Test(cli, other_programs_spellings_are_understood)
{
    expect("render --ckpt pony.safetensors --refiner_checkpoint=anime.safetensors -W 64 -H 72 "
           "--refiner_switch_at 0.8 --sampling-method euler_a --negative-prompt bad --cfg 7 -s -1 "
           "--json -q",
           0, "");
    cr_expect(strstr(r.out, "\"height\":72"));
    cr_expect(strstr(r.out, "\"sampler\":\"Euler a\""));
    cr_expect(strstr(r.out, "\"step\":24"));
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t      *o = json_loads(text, 0, &error);
    cr_assert_not_null(o, "%s in: %s", error.text, text);
    return o;
}

Test(cli, json_results_have_the_documented_keys)
{
    const char *s = NULL;
    int         schema = 0, width = 0, step = 0, steps = 0;
    json_int_t  seed = 0;
    double      load = -1, value = 0, sigma = 0, cfg = 0;
    expect(RF_SPAWN_BOTH "-p '!warn' --json --seed 7", 0, "");
    json_t *o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:i, s:s, s:I, s:i, s:i, s:f}", "schema", &schema, "path", &s,
                             "seed", &seed, "width", &width, "steps", &steps, "cfg", &cfg),
                 0);
    cr_expect(schema == 1 && seed == 7 && width == 64 && steps == 30 && cfg == 6);
    cr_expect_str_eq(s, "out.png");
    cr_assert_eq(json_unpack(o, "{s:{s:s}}", "base", "sha256", &s), 0);
    cr_expect_eq(strlen(s), 64u);
    cr_assert_eq(json_unpack(o, "{s:{s:s}}", "refiner", "name", &s), 0);
    cr_expect_str_eq(s, "anime");
    cr_assert_eq(json_unpack(o, "{s:{s:s, s:f, s:i, s:f}}", "switch", "kind", &s, "value", &value,
                             "step", &step, "sigma", &sigma),
                 0);
    cr_expect(strcmp(s, "steps") == 0 && value == 0.5 && step == 15);
    cr_assert_eq(json_unpack(o, "{s:{s:f}}", "timings_s", "load", &load), 0);
    cr_assert_eq(json_unpack(o, "{s:s, s:s, s:s}", "vae", &s, "sampler", &s, "schedule", &s), 0);
    cr_assert_eq(json_unpack(o, "{s:[s!]}", "warnings", &s), 0, "told once, though given twice");
    cr_expect_str_eq(s, "as ordered");
    json_decref(o);
}

Test(cli, a_stage_without_calls_is_not_in_the_result)
{
    const char *s = NULL;
    expect(RF_SPAWN_BOTH "--json -x 1", 0, "");
    json_t *o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:{s:s}, s:n, s:n}", "base", "name", &s, "refiner", "switch"), 0);
    cr_expect_str_eq(s, "pony");
    json_decref(o);
    expect(RF_SPAWN_BOTH "--json -x 0 --overwrite", 0, "");
    o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:{s:s}, s:n, s:n}", "base", "name", &s, "refiner", "switch"), 0);
    cr_expect_str_eq(s, "anime");
    json_decref(o);
}

/* DPM adaptive: the experts are known before the calls are counted. */
Test(cli, a_stage_with_uncounted_calls_is_in_the_result)
{
    const char *base = NULL, *refiner = NULL;
    double      cfg = 0, value = 0;
    expect(RF_SPAWN_BOTH "--json --sampler 'DPM adaptive' --cfg-scale 4", 0, "");
    json_t *o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:{s:s}, s:{s:s}, s:{s:f, s:n, s:n}, s:f}", "base", "name", &base,
                             "refiner", "name", &refiner, "switch", "value", &value, "step",
                             "sigma", "cfg", &cfg),
                 0);
    cr_expect_str_eq(base, "pony");
    cr_expect_str_eq(refiner, "anime");
    cr_expect(value == 0.5 && cfg == 4);
    json_decref(o);
    expect(RF_SPAWN_BOTH "--dry-run --overwrite --sampler 'DPM adaptive'", 0, "");
    cr_expect(strstr(r.out, "as many steps as the picture needs"));
    cr_expect_null(strstr(r.out, "no calls"));
}

Test(cli, dry_run_prints_the_documented_object_and_writes_nothing)
{
    int         schema = 0, calls[2] = {0};
    json_int_t  slab = 0, kv = 0, staging = 0, weights[2] = {0};
    const char *device = NULL;
    expect(RF_SPAWN_BOTH "--json --dry-run -x 0.3", 0, "");
    json_t *o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:i, s:s, s:I, s:[I,I], s:I, s:I, s:[i,i]}", "schema", &schema,
                             "device", &device, "slab_bytes", &slab, "weights_bytes", &weights[0],
                             &weights[1], "kv_bytes", &kv, "staging_bytes", &staging, "calls",
                             &calls[0], &calls[1]),
                 0);
    cr_expect(schema == 1 && slab > 0 && calls[0] == 9 && calls[1] == 21);
    cr_expect(json_is_integer(json_object_get(o, "unet_slab_bytes")) &&
              json_is_integer(json_object_get(o, "vae_slab_bytes")));
    cr_expect_eq(json_array_size(json_object_get(o, "sigmas")), 31u);
    json_decref(o);
    expect(RF_SPAWN_BOTH "--dry-run", 0, "");
    cr_expect(strstr(r.out, "steps 1 to 15"));
    cr_expect(!rf_spawn_exists("out.png"));
}

Test(cli, one_file_as_base_and_refiner_is_opened_once)
{
    expect("render -m pony.safetensors -r ./pony.safetensors --size 64x64 -q --dry-run --json", 0,
           "");
    cr_expect(strstr(r.out, "\"weights_bytes\":[5000,0]"));
}

Test(cli, warnings_are_told)
{
    expect("render -m pony.safetensors -x 0.3 --size 64x64", 0,
           "refinery: warning: --switch-at has no effect without --refiner");
    expect("render -m pony.safetensors -x 0.3 --size 64x64 --overwrite -q", 0, "");
    cr_expect_str_eq(r.err, "");
}

Test(cli, the_largest_seed_gives_a_picture_and_no_second_one)
{
    expect("render -m pony.safetensors --size 64x64 -q --seed 9223372036854775807", 0, "");
    expect("render -m pony.safetensors --size 64x64 -q --seed 9223372036854775807 --count 2 "
           "-o '{seed}.png'",
           2, "goes beyond");
}

Test(cli, prompts_come_from_files_too)
{
    rf_spawn_write("prompt.txt", "\xEF\xBB\xBF!warn\r\nforest\r\n");
    expect("render -m pony.safetensors --size 64x64 --prompt-file prompt.txt", 0, "as ordered");
    expect("render -m pony.safetensors --size 64x64 --prompt-file - -o b.png < prompt.txt", 0,
           "as ordered");
    expect("render -m pony.safetensors --prompt-file none.txt", 66, "none.txt");
    expect("render -m pony.safetensors --prompt-file \"$(printf 'x%0300d' 0)\"", 66, "too long");
    expect("render -m pony.safetensors --prompt-file prompt.txt -p x", 2, "exclude each other");
    rf_spawn_write("bad.txt", "caf\xE9");
    expect("render -m pony.safetensors --prompt-file bad.txt", 2, "byte 4 (0xE9) is not UTF-8");
}

Test(cli, metadata_can_be_left_out)
{
    expect(RF_SPAWN_BOTH "-o with.png", 0, "");
    expect(RF_SPAWN_BOTH "-o without.png --no-metadata", 0, "");
    FILE *with = fopen("with.png", "rb"), *without = fopen("without.png", "rb");
    cr_assert(with && without);
    fseek(with, 0, SEEK_END);
    fseek(without, 0, SEEK_END);
    cr_expect_gt(ftell(with), ftell(without));
    fclose(with);
    fclose(without);
}

/* ---- bad input ---------------------------------------------------------------------------- */

Test(cli, bad_values_are_named_with_their_range)
{
    static const struct {
        const char *command, *said;
    } ROWS[] = {
        {"render -m pony.safetensors --size 100x64", "width 100 is not a multiple of 8"},
        {"render -m pony.safetensors --size 64x65", "height 65 is not a multiple of 8"},
        {"render -m pony.safetensors -H 65", "height 65 is not a multiple of 8"},
        {"render -m pony.safetensors --size 8x64", "must be from 64 to 8192"},
        {"render -m pony.safetensors --size 64", "not a size such as 1024x1024"},
        {"render -m pony.safetensors --size 64x64x", "not a size"},
        {"render -m pony.safetensors --size 64x-64", "not a size"},
        {"render -m pony.safetensors --size ' 64x64'", "not a size"},
        {"render -m pony.safetensors --steps 0", "'0' is not a whole number from 1 to 10000"},
        {"render -m pony.safetensors --steps 3.5", "'3.5' is not a whole number"},
        {"render -m pony.safetensors --steps 99999999999999999999", "is not a whole number"},
        {"render -m pony.safetensors --steps ''", "'' is not a whole number"},
        {"render -m pony.safetensors --cfg-scale nan", "'nan' is not a number from 0 to 1000"},
        {"render -m pony.safetensors --cfg-scale inf", "'inf' is not a number"},
        {"render -m pony.safetensors --cfg-scale 1e400", "is not a number"},
        {"render -m pony.safetensors --cfg-scale 0x10", "is not a number"},
        {"render -m pony.safetensors --cfg-scale '6 '", "is not a number"},
        {RF_SPAWN_BOTH "--switch-at 1.01", "from 0 to 1"},
        {RF_SPAWN_BOTH "--switch-at=-0.1", "from 0 to 1"},
        {RF_SPAWN_BOTH "--switch-at nan", "is not a number"},
        {RF_SPAWN_BOTH "--switch-by stps", "unknown switch rule \"stps\""},
        {"render -m pony.safetensors --seed -2", "nor 'random'"},
        {"render -m pony.safetensors --seed 9223372036854775807 --count 9", "goes beyond"},
        {"render -m pony.safetensors --count 0", "from 1 to 1000000"},
        {"render -m pony.safetensors --batch 65", "from 1 to 64"},
        {"render -m pony.safetensors --sampler 'Euler b'", "unknown sampler \"Euler b\""},
        {"render -m pony.safetensors --schedule karas", "unknown schedule \"karas\""},
        {"render -m pony.safetensors --compat comfy", "not one of: a1111, none"},
        {"render -m pony.safetensors --prompt \"$(printf 'a\\377')\"", "byte 2 (0xFF)"},
        {"render -m pony.safetensors -o out.jpg", "does not end in .png"},
        {"render -m pony.safetensors -o '{sed}.png'", "only {seed} and {index}"},
        {"render -m pony.safetensors -o ''", "the file name is empty"},
        {"inspect pony.safetensors ''", "refinery inspect: the file name is empty"},
        {"meta ''", "refinery meta: the file name is empty"},
        {"render -p x", "--base is missing"},
        {"render -m pony.safetensors stray", "one word too many"},
        {"render -m", "-m needs a value"},
        {"render -m --steps 3", "-m needs a value, but --steps follows"},
        {"render -q=1", "has no option -="},
        {"render --quiet=1", "takes no value"},
        {"completion tcsh", "not one of: bash, zsh, fish"},
        {"completion", "nothing was named"},
        {"help nothing", "there is no verb 'nothing'"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        expect(ROWS[i].command, 2, ROWS[i].said);
    cr_expect(!rf_spawn_exists("out.png"));
}

Test(cli, mistyped_words_get_a_suggestion)
{
    expect("render -m pony.safetensors --stpes 3", 2, "did you mean --steps?");
    expect("render -m pony.safetensors --swich-at 3", 2, "did you mean --switch-at?");
    expect("render -m pony.safetensors --refine anime.safetensors", 2, "did you mean --refiner?");
    expect("render -m pony.safetensors --zzzzzz", 2, "refinery help render all lists");
    expect("rendr", 2, "did you mean 'refinery render'?");
    expect("txt2img", 2, "did you mean 'refinery render'?");
    expect("render --dtype bf61", 2, "did you mean 'bf16'?");
    expect("", 2, "Usage: refinery VERB");
}

Test(cli, wrong_files_have_codes_of_their_own)
{
    expect("render -m none.safetensors", 66, "none.safetensors: No such file");
    expect("render -m pony.safetensors -r none.safetensors", 66, "none.safetensors");
    expect("render -m lora.safetensors", 65, "it is a LoRA");
    expect("render -m pony.safetensors -r lora.safetensors", 65, "it is a LoRA");
    expect("render -m cut.safetensors", 65, "the file is cut off");
    expect("render -m pony.safetensors --device cuda:1", 69, "there is no cuda:1: use --device");
    cr_expect(!rf_spawn_exists("out.png"));
}

Test(cli, outputs_are_checked_before_the_work)
{
    rf_spawn_write("out.png", "precious");
    expect(RF_SPAWN_BOTH "", 73, "--overwrite replaces it");
    expect(RF_SPAWN_BOTH "-o no/folder/x.png", 73, "no/folder/x.png");
    rf_spawn_write("out-1.png", "precious");
    expect(RF_SPAWN_BOTH "--count 2", 73, "out-1.png");
    cr_expect(!rf_spawn_exists("out-0.png"));
    expect(RF_SPAWN_BOTH "--overwrite", 0, "");
    if (geteuid() == 0) return; /* root may write everywhere */
    expect(RF_SPAWN_BOTH "-o /x.png", 77, "/x.png");
}

Test(cli, an_output_is_never_an_input)
{
    rf_spawn_write("model.png", "SDXL three");
    expect("render -m model.png -o model.png --overwrite", 2, "is the file given with --base");
}

Test(cli, two_pictures_are_never_one_file)
{
    rf_spawn(&r, "version > /dev/null; mkdir d1; ln -s d1 d0");
    expect(RF_SPAWN_BOTH "--count 2 -o 'd{index}/x.png'", 2, "pictures 0 and 1 would be one file");
    cr_expect(!rf_spawn_exists("d1/x.png"));
}

Test(cli, failures_of_the_run_have_their_codes)
{
    expect(RF_SPAWN_BOTH "-p '!nan'", 1, "produced NaN");
    expect(RF_SPAWN_BOTH "-p '!nomem'", 75, "--dry-run tells how much");
    expect(RF_SPAWN_BOTH "-p '!bug'", 70, "please report");
    cr_expect(!rf_spawn_exists("out.png"));
}

Test(cli, errors_are_json_on_request)
{
    const char *code = NULL, *message = NULL, *hint = NULL;
    expect("render --json -m pony.safetensors --stpes 3", 2, "refinery: error:");
    json_t *o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:{s:s, s:s, s:s}}", "error", "code", &code, "message", &message,
                             "hint", &hint),
                 0);
    cr_expect_str_eq(code, "RF_E_ARG");
    cr_expect_str_eq(hint, "did you mean --steps?");
    json_decref(o);
}

Test(cli, names_that_are_not_utf8_still_make_valid_json)
{
    expect(RF_SPAWN_BOTH "--json -o \"$(printf 'caf\\351.png')\"", 0, "");
    json_t *o = parse(r.out);
    cr_expect_str_eq(json_string_value(json_object_get(o, "path")), "caf\xEF\xBF\xBD.png");
    json_decref(o);
}

/* ---- files --------------------------------------------------------------------------------- */

Test(cli, synth_writes_what_inspect_knows)
{
    expect("synth --seed 3 tiny.safetensors", 0, "");
    cr_expect_str_eq(r.out, "tiny.safetensors\n");
    expect("synth tiny.safetensors", 73, "--overwrite replaces it");
    expect("synth tiny.bin", 2, "does not end in .safetensors");
    expect("synth no/folder/tiny.safetensors", 73, "no/folder");
    expect("inspect tiny.safetensors", 0, "");
    cr_expect(strstr(r.out, "tiny.safetensors: SDXL checkpoint"), "%s", r.out);
    cr_expect(strstr(r.out, "as base or refiner: works\n"));

    const char *kind = NULL, *digest = NULL;
    int         usable = 0, width = 0;
    expect("inspect --json --hash tiny.safetensors", 0, "");
    json_t *o = parse(r.out);
    cr_assert_eq(json_unpack(o, "{s:s, s:s, s:b, s:{s:{s:i}}}", "kind", &kind, "sha256", &digest,
                             "usable", &usable, "architecture", "unet", "width", &width),
                 0);
    cr_expect(usable && width == 32);
    cr_expect(rf_spawn_exists(".cache/refinery/sha256"));
    static rf_spawned other;
    rf_spawn(&other, "version > /dev/null; sha256sum tiny.safetensors");
    cr_expect_eq(strncmp(other.out, digest, 64), 0, "%s", other.out);
    json_decref(o);
}

Test(cli, inspect_answers_for_every_file_it_can)
{
    rf_spawn_write("archive.ckpt", "PK\003\004 and so on");
    rf_spawn_write("empty.safetensors", "");
    expect("inspect archive.ckpt none.safetensors empty.safetensors .", 66,
           "none.safetensors: cannot be opened");
    cr_expect(strstr(r.out, "archive.ckpt: a zip archive"));
    cr_expect(strstr(r.out, "empty.safetensors: empty"));
    cr_expect(strstr(r.err, "model_index.json")); /* a folder is one of diffusers */
    expect("inspect --json archive.ckpt", 0, "");
    json_t *o = parse(r.out);
    cr_expect_str_eq(json_string_value(json_object_get(o, "kind")), "zip");
    json_decref(o);
}

Test(cli, a_full_disk_leaves_nothing_behind)
{
    rf_spawn(&r, "version > /dev/null; ulimit -f 16; " RF_COMMAND
                 " render -m pony.safetensors --size 256x256 -o big.png -q");
    cr_expect_eq(r.code, 74, "%d: %s", r.code, r.err);
    cr_expect(!rf_spawn_exists("big.png"));
    rf_spawn(&r, "version > /dev/null; ls -A | grep -c tmp");
    cr_expect_str_eq(r.out, "0\n");
}

/* ---- streams ------------------------------------------------------------------------------ */

Test(cli, results_that_do_not_arrive_are_an_error)
{
    expect(RF_SPAWN_BOTH "> /dev/full", 74, "cannot write to standard output: No space left");
    expect(RF_SPAWN_BOTH "--overwrite >&-", 74, "cannot write to standard output: it is closed");
    expect("--help > /dev/full", 74, "No space left");
    expect("version > /dev/full", 74, "No space left");
}

Test(cli, a_reader_that_leaves_is_an_error_and_no_signal)
{
    rf_spawn_write("code", "");
    rf_spawn(&r, "help > /dev/null; (sleep 0.2; " RF_COMMAND " " RF_SPAWN_BOTH
                 "; echo $? > code) | true");
    cr_assert(rf_spawn_await("code", "74"));
}

Test(cli, plain_progress_is_a_few_lines)
{
    expect("render -m pony.safetensors -r anime.safetensors --size 64x64", 0,
           "refinery: reading pony");
    cr_expect(strstr(r.err, "pony 15/15 | anime 0/15"));
    cr_expect(strstr(r.err, "decoding"));
    int lines = 0;
    for (const char *p = r.err; *p; p++) lines += *p == '\n';
    cr_expect_leq(lines, 6, "%s", r.err);
    cr_expect_null(strchr(r.err, '\r'));
    cr_expect_null(strchr(r.err, '\033'));
}

Test(cli, json_progress_is_json)
{
    expect("render -m pony.safetensors --size 64x64 --progress json", 0, "\"phase\":\"denoise\"");
    char *line = strtok(r.err, "\n");
    for (; line; line = strtok(NULL, "\n")) json_decref(parse(line));
}

Test(cli, a_signal_stops_after_the_call_with_one_line)
{
    static char *const WORDS[] = {"render", "-m",    "pony.safetensors", "--size", "64x64",
                                  "-p",     "!slow", "--steps",          "500",    NULL};
    static const struct {
        int number, code;
    } SIGNALS[] = {{SIGINT, 130}, {SIGTERM, 143}, {SIGHUP, 129}};
    for (int i = 0; i < 3; i++) {
        const pid_t pid = rf_spawn_start(WORDS);
        cr_assert(rf_spawn_await("err", "pony 0/500"));
        kill(pid, SIGNALS[i].number);
        rf_spawn_wait(&r, pid);
        cr_expect_eq(r.code, SIGNALS[i].code);
        const char *notice = strstr(r.err, "refinery: interrupted");
        cr_assert_not_null(notice, "%s", r.err);
        cr_expect_eq(strchr(notice, '\n')[1], '\0', "more than one line: %s", notice);
        cr_expect_str_eq(r.out, "");
        cr_expect(!rf_spawn_exists("out.png"));
    }
}

Test(cli, a_second_signal_quits_at_once)
{
    static char *const WORDS[] = {"render", "-m",        "pony.safetensors", "--size", "64x64",
                                  "-p",     "!stubborn", "--steps",          "500",    NULL};
    const pid_t        pid = rf_spawn_start(WORDS);
    cr_assert(rf_spawn_await("err", "pony 0/500"));
    kill(pid, SIGINT);
    cr_assert(rf_spawn_await("err", "interrupted"));
    kill(pid, SIGINT);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 130);
}

/* ---- help --------------------------------------------------------------------------------- */

static const char *const VERBS[] = {
    "",      "render",  "sweep",   "explain", "replay",  "meta",       "recipes", "tokens",
    "noise", "inspect", "convert", "synth",   "devices", "completion", "version", "help"};

Test(cli, help_teaches_within_a_page)
{
    char command[80];
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) {
        snprintf(command, sizeof command, "%s --help", VERBS[i]);
        expect(command, 0, "");
        int lines = 0, column = 0, widest = 0, examples = 0;
        for (const char *p = r.out; *p; p++) {
            if (strncmp(p, "  refinery ", 11) == 0 && lines < 4) examples++;
            column = *p == '\n' ? 0 : column + 1;
            lines += *p == '\n';
            widest = column > widest ? column : widest;
        }
        cr_expect_leq(lines, 40, "%s: %d lines", command, lines);
        cr_expect_leq(widest, 80, "%s: %d columns", command, widest);
        cr_expect_geq(examples, 1, "%s", command);
        cr_expect_str_eq(r.err, "");
    }
    expect("render --help", 0, "");
    cr_expect(strstr(r.out, "1 = base only, 0 = refiner only"));
    expect("render --nonsense --help", 0, "");
    expect("help render all", 0, "");
    cr_expect(strstr(r.out, "--refiner-cfg-scale X"));
    cr_expect_null(strstr(r.out, "--width"));
    for (char *line = strtok(r.out, "\n"); line; line = strtok(NULL, "\n"))
        cr_expect_leq(strlen(line), 80u, "%s", line);
}

Test(cli, completion_scripts_are_valid_and_complete)
{
    expect("completion bash > c.bash && bash -n c.bash", 0, "");
    rf_spawn(&r, "completion bash > c.bash; bash -c '. ./c.bash; COMP_WORDS=(refinery render "
                 "--refiner-pro); COMP_CWORD=2; _refinery; echo \"${COMPREPLY[@]}\"; "
                 "COMP_WORDS=(refinery render --sampler Eu); COMP_CWORD=3; _refinery; "
                 "echo \"${COMPREPLY[@]}\"; COMP_WORDS=(refinery de); COMP_CWORD=1; _refinery; "
                 "echo \"${COMPREPLY[@]}\"; COMP_WORDS=(refinery render -m po); COMP_CWORD=3; "
                 "_refinery; echo \"${COMPREPLY[@]}\"'");
    cr_expect_str_eq(r.out, "--refiner-prompt\nEuler\\ a Euler\ndevices\npony.safetensors\n");
    expect("completion zsh", 0, "");
    cr_expect(strstr(r.out, "#compdef refinery"));
    expect("completion fish", 0, "");
    cr_expect(strstr(r.out, "-l switch-at -s x"));
}

Test(cli, version_and_devices_answer)
{
    expect("--version", 0, "");
    cr_expect_eq(strncmp(r.out, "refinery 0.", 11), 0);
    expect("devices --json", 0, "");
    json_decref(parse(r.out));
    expect("version --json", 0, "");
    json_decref(parse(r.out));
}
