/* The verbs that explain, repeat and look up, from outside, over the fake engine. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
}

TestSuite(verbs, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

static void expect(const char *command, int code, const char *said)
{
    rf_spawn_expect(&r, command, code, said);
}

static void expect_out(const char *command, const char *said)
{
    expect(command, 0, "");
    cr_expect(strstr(r.out, said), "%s: not '%s' but: %s", command, said, r.out);
}

static json_t *answer(const char *command)
{
    json_error_t error;
    expect(command, 0, "");
    json_t *o = json_loads(r.out, 0, &error);
    cr_assert_not_null(o, "%s: %s in: %s", command, error.text, r.out);
    return o;
}

/* ---- explain ------------------------------------------------------------------------------ */

static const json_t *at(const json_t *o, const char *key, size_t i)
{
    return json_array_get(json_object_get(o, key), i);
}

Test(verbs, explain_prints_the_documented_object)
{
    const char *text = NULL;
    int         schema = 0, until = 0, call = 0, step = 0, stage = 0, set = 0, entry = 0, bad = 0;
    double      sigma = 0, timestep = 0, ratio = 0, weight = 0;
    json_t     *o = answer("explain --json --steps 20 --switch-at 0.5 --scheduler karras "
                               "--prompt '[a:(b):switch], c' --negative 'bad BREAK'");
    cr_assert_eq(json_unpack(o, "{s:i, s:{s:i, s:i, s:f, s:f}}", "schema", &schema, "switch",
                             "call", &call, "step", &step, "sigma", &sigma, "ratio", &ratio),
                 0);
    cr_expect(schema == 1 && call == 10 && step == 10 && sigma > 7 && ratio == 0.25);
    const json_t *part = at(json_object_get(o, "prompt"), "parts", 0);
    cr_assert_eq(json_unpack((json_t *)part, "{s:f, s:s}", "weight", &weight, "text", &text), 0);
    cr_expect_eq(weight, 1);
    cr_expect_str_eq(text, "[a:(b):switch], c");
    cr_assert_eq(json_unpack((json_t *)at(part, "schedule", 0), "{s:i, s:s, s:[[s,f]]}", "until",
                             &until, "text", &text, "attention", &text, &weight),
                 0);
    cr_expect(until == 9 && weight == 1);
    cr_assert_eq(
        json_unpack((json_t *)at(part, "schedule", 1), "{s:[[s,F]]}", "attention", &text, &weight),
        0);
    cr_expect_eq(weight, 1.1, "%.17g", weight);
    const json_t *negative = at(json_object_get(o, "negative"), "parts", 0);
    cr_assert_eq(json_unpack((json_t *)at(negative, "schedule", 0), "{s:[[s,f],[s,F]]}",
                             "attention", &text, &weight, &text, &weight),
                 0);
    cr_expect(strcmp(text, "BREAK") == 0 && weight == -1);
    cr_assert_eq(json_unpack((json_t *)at(o, "calls", 10),
                             "{s:i, s:i, s:F, s:F, s:i, s:i, s:[i], s:i}", "call", &call, "step",
                             &step, "sigma", &sigma, "timestep", &timestep, "stage", &stage,
                             "prompt_set", &set, "prompt_entry", &entry, "negative_entry", &bad),
                 0);
    cr_expect(call == 10 && stage == 1 && set == 0 && entry == 1 && bad == 0);
    cr_expect_eq(json_array_size(json_object_get(o, "sigmas")), 21u);
    cr_expect_eq(json_array_size(json_object_get(o, "timesteps")), 20u);
    cr_expect_eq(json_array_size(json_object_get(o, "prompt_sets")), 1u);
    cr_expect(json_is_array(json_object_get(o, "warnings")));
    json_decref(o);
}

Test(verbs, explain_has_a_switch_only_if_one_is_asked_for)
{
    json_t *o = answer("explain --json -p 'a cat'");
    cr_expect(json_is_null(json_object_get(o, "switch")));
    json_decref(o);
    o = answer("explain --json -p 'a cat' -x 1");
    cr_expect(json_is_object(json_object_get(o, "switch")));
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(o, "switch"), "call")), 30);
    cr_expect(json_is_false(json_object_get(json_object_get(o, "switch"), "happens")));
    json_decref(o);
    o = answer("explain --json -p 'a cat' -r anime.safetensors");
    cr_expect(json_is_object(json_object_get(o, "switch")));
    json_decref(o);
    o = answer("explain --json -p 'a cat' --refiner-prompt 'a dog'");
    cr_expect_eq(json_array_size(json_object_get(o, "prompt_sets")), 2u);
    json_decref(o);
    o = answer("explain --json -p 'a cat' --steps 20 --hires-steps 7");
    cr_expect_eq(json_array_size(json_object_get(o, "calls")), 7u);
    json_decref(o);
}

Test(verbs, explain_tells_people_what_happens_when)
{
    expect_out("explain -x 0.5 --steps 8 -p '[cats:dogs:switch], park' -n ugly", "");
    static const char *const LINES[] = {
        "Euler a, schedule automatic, 8 steps, 8 calls; both count from 0\n",
        "base hands over to refiner before call 4, step 4",
        "  [0] calls 0 to 3: 10 tokens in 1 chunk\n      cats, park\n",
        "  [1] calls 4 to 7: ",
        "  ---- switch ----\n     4     4  refiner",
        "  steps      before call 4",
        "  noise      before call 5",
        "  timesteps  before call 4",
    };
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        cr_expect(strstr(r.out, LINES[i]), "'%s' is not in: %s", LINES[i], r.out);
    expect_out("explain -m pony.safetensors -r anime.safetensors -p '!warn'", "pony hands over to");
    cr_expect(strstr(r.out, "warnings\n  - as ordered\n"));
    cr_expect_str_eq(r.err, ""); /* told once */
    expect_out("explain -x 1 -p cat", "base never hands over to refiner");
    expect_out("explain --steps 200 -p cat", "   ...\n");
    expect_out("explain -p \"$(printf 'a\\033[2Jb\\302\\233c')\"", "a?[2Jb?c");
}

Test(verbs, explain_takes_standard_input_as_it_is)
{
    json_t *o = answer("explain --json --prompt - < /dev/null");
    json_decref(o);
    expect("version > /dev/null; printf '\\357\\273\\277 a\\r\\n\\n' > verbatim", 0, "");
    o = answer("explain --json --prompt - < verbatim");
    const json_t *part = at(json_object_get(o, "prompt"), "parts", 0);
    cr_expect_str_eq(json_string_value(json_object_get(part, "text")), "\xEF\xBB\xBF a\r\n\n");
    json_decref(o);
    expect("explain --prompt - --negative - < verbatim", 2, "cannot both read standard input");
    expect("version > /dev/null; printf 'a\\000b' > nul", 0, "");
    expect("explain --prompt - < nul", 2, "byte 2 (0x00) is not UTF-8");
    expect("version > /dev/null; printf 'caf\\351' > latin", 0, "");
    expect("explain --prompt - < latin", 2, "byte 4 (0xE9) is not UTF-8");
    expect("version > /dev/null; head -c 2000000 /dev/zero | tr '\\0' a > huge", 0, "");
    expect("explain --prompt - < huge", 2, "at most 1 MiB fits");
    expect("explain --prompt-file huge", 2, "at most 1 MiB fits");
    expect("explain --negative-file none.txt", 66, "--negative-file none.txt: No such file");
}

/* ---- every option reaches the job --------------------------------------------------------- */

Test(verbs, options_and_their_other_names_are_understood)
{
    static const char *const ROWS[] = {
        "--scheduler karras --schedule-type beta --schedule normal",
        "--switch-by steps --switch-rule noise --refiner-switch-at 0.8 --denoising-end 0.7",
        "--compat a1111 --old-edits --use_old_scheduling",
        "--sigmas 14.6,8,3,0 --sigma-min 0.03 --schedule_min_sigma 0.03 --sigma-max 14 --rho 7",
        "--discard-penultimate --always-discard-next-to-last-sigma --eta 0.5 --eta-ancestral 1",
        "--s-churn 1 --sigma-churn 2 --s-tmin 0.1 --s-tmax 10 --s-noise 1.003 --sigma-noise 1",
        "--ensd 31337 --eta-noise-seed-delta -5 --skip-early-cfg 0.1 --s-min-uncond 1 --ngms 2",
        "--s-min-uncond-all --variation-seed 7 --subseed random --variation-strength 0.3",
        "--subseed-strength 1 --seed-resize-from 512x768 --rng cpu --randn-source NV",
        "--emphasis 'No norm' --emphasis no_norm --clip-skip 2 --clip-l-skip",
        "--crop-left 10 --crop-top 20 --original-size 513x700 --target-size 1x1",
        "--refiner-sampler euler --sampling-method euler_a --sampler_name 'dpm++ 2m'",
        "--refiner-cfg 3 --guidance-scale 7.1 --num-inference-steps 20 --moe-boundary 0.9",
    };
    char command[400];
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        snprintf(command, sizeof command, "explain -p cat -x 0.5 %s", ROWS[i]);
        expect(command, 0, "");
        snprintf(command, sizeof command, RF_SPAWN_BOTH "--dry-run %s", ROWS[i]);
        expect(command, 0, "");
    }
    expect_out(RF_SPAWN_BOTH "--dry-run --json --sampler 'dpm++ 2m'", "\"sampler\":\"DPM++ 2M\"");
    expect_out(RF_SPAWN_BOTH "--dry-run --json --switch-by step -x 3", "\"calls\":[3,27]");
}

Test(verbs, values_out_of_range_are_named)
{
    static const struct {
        const char *command, *said;
    } ROWS[] = {
        {"explain --clip-skip 13", "from 1 to 12"},
        {"explain --variation-strength 1.5", "from 0 to 1"},
        {"explain --seed-resize-from 512", "not a size such as"},
        {"explain --seed-resize-from 9999999x8", "not a size such as"},
        {"explain --original-size 0x8", "must be from 1 to 65536"},
        {"explain --ensd 1e5", "is not a whole number"},
        {"explain --eta nan", "is not a number from 0"},
        {"explain --hires-steps 0", "from 1 to 10000"},
        {"explain --rng dice", "unknown noise source \"dice\""},
        {"explain --style ''", "the name is empty"},
        {"explain stray", "'stray' is one word too many"},
        {"explain --base-tags x", "tags need a --recipe"},
        {"explain --negative x --negative-file y", "exclude each other"},
        {"noise --shape 4,8", "not three whole numbers"},
        {"noise --shape 4,8,8,8", "not three whole numbers"},
        {"noise --shape 4,8,", "not three whole numbers"},
        {"noise --shape 0,8,8", "not three whole numbers"},
        {"noise --shape 4,-8,8", "not three whole numbers"},
        {"noise --shape 4,8,99999999999999999999", "not three whole numbers"},
        {"noise --shape 1048576,1048576,1048576", "at most 16777216 are printed"},
        {"noise --shape 4,1024,1024 --draws 16777216", "at most 16777216 are printed"},
        {"noise --rng dice", "unknown noise source"},
        {"noise --seed -1", "is not a whole number"},
        {"tokens", "--prompt is missing"},
        {"tokens -p x --encoder t5", "not one of: l, g"},
        {"tokens -p \"$(printf 'a\\377')\"", "byte 2 (0xFF)"},
        {"meta", "nothing was named"},
        {"replay", "nothing was named"},
        {"recipes x", "one word too many"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        expect(ROWS[i].command, 2, ROWS[i].said);
}

/* ---- recipes ------------------------------------------------------------------------------ */

#define RECIPE "explain --recipe pony-animagine "

static void expect_prompt(const char *command, const char *key, const char *text)
{
    json_t       *o = answer(command);
    const json_t *part = at(json_object_get(o, key), "parts", 0);
    cr_expect_str_eq(json_string_value(json_object_get(part, "text")), text);
    json_decref(o);
}

Test(verbs, the_recipe_makes_both_prompts)
{
    expect_prompt(RECIPE "--json --base-tags '1girl, rating_safe' --refiner-tags 'sensitive' "
                         "'forest, night'",
                  "prompt",
                  "[score_9, score_8_up, score_7_up, 1girl, rating_safe:very aesthetic, "
                  "masterpiece, sensitive:switch], forest, night");
    expect_prompt(RECIPE "--json --base-negative furry --refiner-negative lowres", "negative",
                  "[source_pony, source_cartoon, source_furry, e621_low, furry:worst quality, low "
                  "quality, very displeasing, lowres:switch], 3d, blurry, jpeg artifacts, bad "
                  "anatomy, watermark, greyscale, unfinished, oil painting, signature, text, "
                  "patreon username");
    expect_prompt(RECIPE "--json", "prompt",
                  "[score_9, score_8_up, score_7_up:very aesthetic, masterpiece:switch]");
    expect_prompt(RECIPE "--json --compat a1111 -x 0.7", "prompt",
                  "[score_9, score_8_up, score_7_up:very aesthetic, masterpiece:0.7]");
    expect_prompt(RECIPE "--json --compat a1111 -x 1", "prompt",
                  "[score_9, score_8_up, score_7_up:very aesthetic, masterpiece:1.0]");
    expect_prompt(RECIPE "--json -p 'my own'", "prompt", "my own");
    expect_out(RECIPE, "Euler a, schedule automatic, 30 steps");
    cr_expect(strstr(r.out, "before call 15"));
    expect_out(RECIPE "--steps 10 --sampler euler -x 0.2", "Euler, schedule automatic, 10 steps");
    cr_expect(strstr(r.out, "before call 2"));
    expect(RECIPE "--prompt x --base-tags y", 2, "--prompt and --base-tags exclude each other");
    expect(RECIPE "--prompt x common", 2, "exclude each other");
    expect(RECIPE "two words", 2, "'words' is one word too many");
    expect("render --recipe ponny-animagine", 2, "did you mean 'pony-animagine'?");
    expect(RF_SPAWN_BOTH "--recipe pony-animagine 'a cat'", 0, "");
    expect_out("recipes", "[score_9, score_8_up, score_7_up, <base tags>:very aesthetic");
    json_t *o = answer("recipes --json");
    cr_expect_str_eq(json_string_value(json_object_get(at(o, "recipes", 0), "name")),
                     "pony-animagine");
    json_decref(o);
}

Test(verbs, styles_are_applied_in_order)
{
    rf_spawn_write("styles.csv", "name,prompt,negative_prompt\n"
                                 "film,\"photo of {prompt}, grain\",cartoon\n"
                                 "night,at night,\n");
    expect_prompt("explain --json -p cat --style film --style night", "prompt",
                  "photo of cat, grain, at night");
    expect_prompt("explain --json -p cat -n bad --style film", "negative", "bad, cartoon");
    expect("explain -p cat --style fim", 66, "film");
    expect("explain -p cat --style film --styles none.csv", 66, "none.csv");
    expect("explain -p cat --styles styles.csv", 0, "--styles has no effect without --style");
}

/* ---- small questions ---------------------------------------------------------------------- */

Test(verbs, tokens_and_noise_answer)
{
    json_t *o = answer("tokens --json --encoder g --prompt 'ab'");
    int     a = 0, b = 0;
    cr_assert_eq(json_unpack(o, "{s:[i,i!]}", "ids", &a, &b), 0);
    cr_expect(a == 1097 && b == 1098);
    json_decref(o);
    o = answer("tokens --json --prompt ''");
    cr_expect_eq(json_array_size(json_object_get(o, "ids")), 0u);
    json_decref(o);
    expect_out("tokens --prompt a", "97\n1 token\n");
    rf_spawn_write("prompt.txt", " a\n");
    expect_out("tokens --prompt - < prompt.txt", "32 97 10\n");

    o = answer("noise --json --rng cpu --seed 42 --shape 4,2,3 --draws 2");
    cr_expect_eq(json_array_size(json_object_get(o, "draws")), 2u);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < 24; i++) {
            const float  want = (float)(42 + 10 * k + i + 1) / 3;
            const double got = json_real_value(json_array_get(at(o, "draws", k), i));
            cr_expect_eq((float)got, want, "draw %zu, number %zu: %.17g", k, i, got);
        }
    json_decref(o);
    expect_out("noise --shape 1,1,2", "draw 0\n0.333333343 0.666666687\n");
}

/* ---- pictures ----------------------------------------------------------------------------- */

Test(verbs, meta_shows_both_texts)
{
    expect(RF_SPAWN_BOTH "-p cat -x 0.3", 0, "");
    expect_out("meta out.png", "  prompt\n      a prompt\n  negative\n      bad\n  Steps ");
    cr_expect(strstr(r.out, "Size                             64x64"), "%s", r.out);
    expect_out("meta -v out.png", "\n  refinery\n      {\n        \"seed\": 1,");
    cr_expect(strstr(r.out, "\"until\": 0.3,"), "as it was asked for: %s", r.out);
    json_t     *o = answer("meta --json out.png");
    const char *prompt = NULL, *steps = NULL, *sampler = NULL;
    cr_assert_eq(json_unpack(o, "{s:s, s:{s:s}, s:{s:s}}", "prompt", &prompt, "fields", "Steps",
                             &steps, "refinery", "sampler", &sampler),
                 0);
    cr_expect(strcmp(prompt, "a prompt") == 0 && strcmp(steps, "1") == 0);
    cr_expect_str_eq(sampler, "Euler a");
    json_decref(o);
    expect(RF_SPAWN_BOTH "-o bare.png --no-metadata", 0, "");
    expect("meta bare.png out.png", 65, "bare.png does not say how it was made");
    cr_expect(strstr(r.out, "out.png\n"), "the other one is still shown");
    expect("meta none.png", 66, "none.png");
    expect("meta pony.safetensors", 65, "pony.safetensors");
}

Test(verbs, replay_gives_the_same_bytes)
{
    expect(RF_SPAWN_BOTH "-p cat -x 0.3 --seed 7", 0, "");
    expect_out("replay out.png -q", "out-replay.png\n");
    rf_spawn(&r, "version > /dev/null; cmp out.png out-replay.png");
    cr_expect_eq(r.code, 0, "%s", r.out);
    expect("replay out.png -q", 73, "--overwrite replaces it");
    expect("replay out.png -o out.png --overwrite", 2, "is the file given with IMAGE");
    expect_out("replay out.png --dry-run -q -o x.png", "steps 1 to 9");
    cr_expect(!rf_spawn_exists("x.png"));
    expect_out("replay out.png -q -o '{seed}.png' --json", "\"path\":\"7.png\"");
    rf_spawn(&r, "version > /dev/null; cp out.png '{odd}.v1'");
    expect_out("replay '{odd}.v1' -q", "{odd}-replay.png\n");
}

Test(verbs, replay_finds_the_files_by_hash)
{
    expect(RF_SPAWN_BOTH "-p cat", 0, "");
    rf_spawn(&r,
             "version > /dev/null; mkdir -p m/deep; mv anime.safetensors m/deep/else.safetensors");
    expect("replay out.png -q", 66,
           "the picture's refiner, anime (SHA-256 9fb9d6fe19...), was not");
    cr_expect(strstr(r.err, "--refiner FILE names it, --models DIR searches a folder"));
    expect_out("replay out.png -q --models . --models m", "out-replay.png\n");
    expect_out("replay out.png -q --refiner m/deep/else.safetensors -o b.png", "b.png\n");
    rf_spawn_write("anime.safetensors", "SDXL three"); /* the recorded path, another file */
    expect("replay out.png -q -o c.png", 65, "anime.safetensors is not the picture's refiner");
    cr_expect(strstr(r.err, "--any-model takes it"));
    expect("replay out.png -o c.png --any-model", 0, "is not the picture's refiner");
    expect_out("replay out.png -q --models m -o d.png", "d.png\n");
    expect("replay out.png -q -r pony.safetensors -o e.png", 65, "not the picture's refiner");
    expect("replay out.png -q --models none", 66, "--models none: no such folder");
    expect("replay out.png -q -r none.safetensors -o e.png", 66, "none.safetensors");
}

Test(verbs, replay_of_an_infotext_says_what_it_cannot_do)
{
    static const uint8_t  PIXELS[8 * 8 * 3];
    const rf_picture_text text = {"parameters", "a cat\nSteps: 30, Sampler: Euler a, Seed: 1"};
    const rf_picture_text junk[] = {{"parameters", "hello"}, {"refinery", "{\"seed\":"}};
    cr_assert_eq(rf_png_write("a1111.png", PIXELS, 8, 8, &text, 1, 0, NULL), RF_OK);
    cr_assert_eq(rf_png_write("junk.png", PIXELS, 8, 8, junk, 2, 0, NULL), RF_OK);
    cr_assert_eq(rf_png_write("hello.png", PIXELS, 8, 8, junk, 1, 0, NULL), RF_OK);
    expect("replay a1111.png", 66, "warning: not honoured: Hires upscale");
    expect("replay a1111.png --models . -o b.png", 0, "is taken by its name, ./pony.safetensors");
    expect("replay a1111.png -m anime.safetensors -q", 0, "");
    cr_expect_str_eq(r.out, "a1111-replay.png\n");
    expect("replay junk.png", 65, "the job of the picture is damaged"); /* the chunk wins */
    expect("meta junk.png", 65, "the text 'refinery' is no JSON object");
    expect("replay hello.png", 65, "the parameters have no Steps");
    expect_out("meta hello.png", "hello.png\n  prompt\n      hello\n");
    expect("replay none.png", 66, "none.png");
    expect("replay pony.safetensors", 65, "pony.safetensors");
    expect(RF_SPAWN_BOTH "-o bare.png --no-metadata", 0, "");
    expect("replay bare.png", 65, "does not say how it was made");
}
