/* LoRAs from outside: which stage gets which file at which strength. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/files/fixture.h"
#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
    cr_assert_eq(mkdir("loras", 0700), 0);
    rf_spawn_write("loras/detail.safetensors", "detail");
    rf_spawn_write("loras/style.safetensors", "style");
}

TestSuite(loras, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

#define RENDER                                                                                     \
    "render -m pony.safetensors -r anime.safetensors --size 64x64 --steps 4 --overwrite "          \
    "--lora-dir loras "

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

/* The plan was given exactly `uses`, separated by '\n'. */
static void given(const char *command, const char *uses)
{
    char line[300];
    int  n = 0;
    rf_spawn_expect(&r, command, 0, "");
    for (const char *p = uses; *p;) {
        const int length = (int)strcspn(p, "\n");
        snprintf(line, sizeof line, "warning: stage %.*s\n", length, p);
        cr_expect(strstr(r.err, line), "%s: not '%s' but: %s", command, line, r.err);
        p += length + (p[length] == '\n');
        n++;
    }
    cr_expect_eq(count(r.err, "warning: stage "), n, "%s: %s", command, r.err);
}

Test(loras, options_say_for_which_stage)
{
    given(RENDER "-p '!loras' --lora detail:0.8:0.5",
          "0: loras/detail.safetensors 0.8 0.5 everywhere\n"
          "1: loras/detail.safetensors 0.8 0.5 everywhere");
    given(RENDER "-p '!loras' --base-lora detail --refiner-lora loras/style.safetensors:-0.5",
          "0: loras/detail.safetensors 1 1\n1: loras/style.safetensors -0.5 -0.5");
    given(RENDER "-p '!loras' --lora detail --lora style:2 --lora-partial",
          "0: loras/detail.safetensors 1 1 everywhere partial\n"
          "0: loras/style.safetensors 2 2 everywhere partial\n"
          "1: loras/detail.safetensors 1 1 everywhere partial\n"
          "1: loras/style.safetensors 2 2 everywhere partial");
    given(RENDER "-p '!loras'", "");
}

Test(loras, a_stages_own_option_overrules_the_common_one)
{
    given(RENDER "-p '!loras' --lora detail:0.8 --refiner-lora detail:0.2",
          "0: loras/detail.safetensors 0.8 0.8 everywhere\n1: loras/detail.safetensors 0.2 0.2");
    cr_expect_null(strstr(r.err, "more than once"));
    given(RENDER "-p '!loras' --lora detail --refiner-lora detail:0",
          "0: loras/detail.safetensors 1 1 everywhere");
    given(RENDER "-p '!loras' --lora detail --lora ./loras/detail.safetensors:0.3",
          "0: ./loras/detail.safetensors 0.3 0.3 everywhere\n"
          "1: ./loras/detail.safetensors 0.3 0.3 everywhere");
    cr_expect(strstr(r.err, "detail.safetensors is named more than once for the base: the last "
                            "naming counts, with strength 0.3"));
    given(RENDER "-p '!loras <lora:detail:0.4>' --lora detail",
          "0: loras/detail.safetensors 0.4 0.4 everywhere\n"
          "1: loras/detail.safetensors 0.4 0.4 everywhere");
    cr_expect(strstr(r.err, "more than once"));
}

Test(loras, tags_mean_the_stages_whose_prompt_they_stand_in)
{
    given(RENDER "-p '!loras <lora:detail:0.5:0.8> <hypernet:x:1>'",
          "0: loras/detail.safetensors 0.8 0.5 everywhere\n"
          "1: loras/detail.safetensors 0.8 0.5 everywhere");
    given(RENDER "-p '!loras <lora:detail>' --refiner-prompt '<lora:style:0.5>'",
          "0: loras/detail.safetensors 1 1\n1: loras/style.safetensors 0.5 0.5");
    given(RENDER "-p '!loras' --refiner-prompt '<lora:style:0.5>'",
          "1: loras/style.safetensors 0.5 0.5");
    given(RENDER "-p '!loras' -n '<lora:style:0.5>'", ""); /* text */
}

Test(loras, tags_in_an_edit_mean_the_stages_that_see_them_first)
{
    given(RENDER "-p '[<lora:detail>:<lora:style>:switch] !loras'",
          "0: loras/detail.safetensors 1 1\n1: loras/style.safetensors 1 1");
    given(RENDER "-p '[<lora:detail>:b:switch] !loras <lora:style>'",
          "0: loras/detail.safetensors 1 1\n"
          "0: loras/style.safetensors 1 1 everywhere\n"
          "1: loras/style.safetensors 1 1 everywhere");
    given(RENDER "--compat a1111 -p '[<lora:detail>:b:switch] !loras'",
          "0: loras/detail.safetensors 1 1 everywhere\n"
          "1: loras/detail.safetensors 1 1 everywhere");
    given("render -m pony.safetensors --size 64x64 --lora-dir loras --overwrite "
          "-p '[a:<lora:detail>:switch] !loras'",
          "");
    cr_expect(strstr(r.err, "<lora:detail> in the prompt is not merged: an edit shows it to no "
                            "stage"));
}

Test(loras, characters_that_stand_for_tags_do_no_harm)
{
    given(RENDER "-p \"[<lora:detail>:b:switch] !loras <lora:style>"
                 "$(printf '\\363\\260\\200\\200 \\364\\217\\277\\277')\"",
          "0: loras/detail.safetensors 1 1\n"
          "0: loras/style.safetensors 1 1 everywhere\n"
          "1: loras/style.safetensors 1 1 everywhere");
}

Test(loras, what_is_wrong_is_said_in_a_sentence)
{
    static const struct {
        const char *words;
        int         code;
        const char *said;
    } wrong[] = {
        {"-p '<lora:detial>'", 66, "hint: did you mean 'detail'?"},
        {"-p '<lora:../pony>'", 66, "<lora:../pony> in the prompt: there is no LoRA of that name"},
        {"-p '<lora:detail:nan>'", 2, "'nan' is not a strength from -100 to 100"},
        {"-p '<lora:detail:dyn=4>'", 2, "'dyn=4' is not supported"},
        {"--lora detial", 66, "--lora detial: there is no LoRA of that name"},
        {"--lora detail:1e9", 2, "--lora: '1e9' is not a strength"},
        {"--lora detail:inf", 2, "--lora: 'inf' is not a strength"},
        {"--refiner-lora detail:x", 2, "--refiner-lora: 'x' is not a strength"},
        {"--lora ''", 2, "--lora: the name is empty"},
        {"--lora-dir nowhere", 66, "--lora-dir nowhere: no such folder"},
    };
    char command[400];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(command, sizeof command, RENDER "%s", wrong[i].words);
        rf_spawn_expect(&r, command, wrong[i].code, wrong[i].said);
    }
    rf_spawn_expect(&r, "render -m pony.safetensors -p '<lora:detail>'", 66,
                    "--lora-dir DIR names a folder");
    rf_spawn_expect(&r, "render -m pony.safetensors --size 64x64 --refiner-lora x", 0,
                    "--refiner-lora has no effect without --refiner");
    snprintf(command, sizeof command,
             RENDER "-p \"$(for i in $(seq 65); do printf '<lora:detail>'; done)\"");
    rf_spawn_expect(&r, command, 2, "more than 64 tags of LoRAs");
}

Test(loras, explain_tells_them)
{
    json_error_t error;
    double       unet = 0, text = 0;
    int          everywhere = 0;
    rf_spawn_expect(&r,
                    "explain -x 0.5 --lora-dir loras -p '[<lora:detail:0.5:2>:b:switch]' "
                    "--lora style",
                    0, "");
    cr_expect(strstr(r.out, "LoRA of base: style.safetensors, strength 1, as for all stages\n"
                            "LoRA of base: detail.safetensors, strength 2, in the text encoders "
                            "0.5\nLoRA of refiner: style.safetensors, strength 1, as for all "
                            "stages\n"),
              "%s", r.out);
    rf_spawn_expect(&r, "explain --json -x 0.5 --lora-dir loras --base-lora style:3:2", 0, "");
    json_t *o = json_loads(r.out, 0, &error);
    cr_assert_not_null(o, "%s", r.out);
    cr_assert_eq(json_unpack(o, "{s:[[{s:f, s:f, s:b}!], [!]!]}", "loras", "unet", &unet, "text",
                             &text, "everywhere", &everywhere),
                 0);
    cr_expect(unet == 3 && text == 2 && !everywhere);
    json_decref(o);
    rf_spawn_expect(&r, "explain -p '<lora:x>'", 0, "no folder of LoRAs is known");
    rf_spawn_expect(&r, "explain --lora-dir loras -p '<lora:x>'", 66, "no LoRA of that name");
}

Test(loras, a_sweep_replaces_in_tags)
{
    rf_spawn_expect(&r,
                    "sweep -m pony.safetensors --size 64x64 --steps 4 --lora-dir loras -o s "
                    "-p '!loras <lora:detail:0.1>' --x 'Prompt S/R: :0.1>,:0.5>,:0.9>'",
                    0, "");
    cr_expect(strstr(r.err, "stage 0: loras/detail.safetensors 0.1 0.1 everywhere"), "%s", r.err);
    cr_expect(strstr(r.err, "stage 0: loras/detail.safetensors 0.9 0.9 everywhere"), "%s", r.err);
    rf_spawn_expect(&r,
                    "sweep -m pony.safetensors --size 64x64 --steps 4 --lora-dir loras -o s "
                    "-p '!loras <lora:detail:0.1>' --x 'Prompt S/R: :0.1>,:0.5>,:0.9>' "
                    "--lora style --resume",
                    2, "");
}

/* ---- relays -----------------------------------------------------------------------------------
 */

Test(loras, stages_have_their_own)
{
    given("render --size 64x64 --steps 9 --lora-dir loras --lora style:0.5 --overwrite "
          "--stage 'expert=pony.safetensors; until=0.3; lora=detail:0.8; prompt=!loras; a "
          "<lora:style>'"
          " --stage 'expert=anime.safetensors;until=0.6;lora=detail:0.1:0.2;lora=style:0'"
          " --stage 'expert=pony.safetensors;prompt=c'",
          "0: loras/style.safetensors 1 1\n"
          "0: loras/detail.safetensors 0.8 0.8\n"
          "1: loras/style.safetensors 1 1\n"
          "1: loras/detail.safetensors 0.1 0.2\n"
          "2: loras/style.safetensors 0.5 0.5 everywhere");
    rf_spawn_expect(
        &r,
        "explain --steps 9 --lora-dir loras --stage 'expert=pony.safetensors;until=0.3' "
        "--stage 'until=0.6;lora=detail' --stage 'prompt=c' -p cat",
        0, "");
    cr_expect(strstr(r.out, "no files given for some stages"), "%s", r.out);
    cr_expect(strstr(r.out, "a further expert hands over to a further expert before call 6"));
    cr_expect(
        strstr(r.out, "LoRA of a further expert (stage 2): detail.safetensors, strength 1\n"));
    rf_spawn_expect(
        &r, "explain --json --steps 9 --stage until=0.3 --stage until=0.6 --stage 'cfg=2'", 0, "");
    cr_expect(strstr(r.out, "\"switches\":[{\"stage\":1,\"call\":3,"), "%s", r.out);
    cr_expect(strstr(r.out, "{\"stage\":2,\"call\":6,"));
}

Test(loras, a_relay_that_is_wrong_is_said_in_a_sentence)
{
    static const struct {
        const char *words, *said;
    } wrong[] = {
        {"--stage 'expert=a' --stage 'expert=b'", "--stage (1): until= is missing"},
        {"--stage 'until=0.5' --stage 'expert=b'", "--stage (1): expert= is missing"},
        {"--stage 'expert=a;until=x' --stage 'expert=b'", "'x' is not a number"},
        {"--stage 'expert=a;until=nan' --stage 'expert=b'", "'nan' is not a number"},
        {"--stage 'expert=a;cfg=-1'", "(1) cfg: '-1' is not a number from 0 to 1000"},
        {"--stage 'expert=a;cfg=1;cfg=2'", "(1) cfg: given twice"},
        {"--stage 'expert='", "(1) expert: there is nothing behind the '='"},
        {"--stage 'expert=a;foo'", "'foo' is no KEY=VALUE"},
        {"--stage 'expert=a;foo;cfg=1'", "'foo' is no KEY=VALUE"},
        {"--stage 'expert=a;promt=x'", "did you mean 'prompt'?"},
        {"--stage 'expert=pony.safetensors;lora=detail:inf'", "'inf' is not a strength"},
        {"--stage ''", "the name is empty"},
        {"--stage 'expert=a' --base x", "--stage and --base exclude each other"},
        {"--stage 'expert=a' --refiner-lora x", "--stage and --refiner-lora exclude each other"},
        {"--stage \"expert=a;prompt=$(printf '\\377')\"", "is not UTF-8"},
    };
    char command[300];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(command, sizeof command, "render --size 64x64 --lora-dir loras %s",
                 wrong[i].words);
        rf_spawn_expect(&r, command, 2, wrong[i].said);
    }
    rf_spawn_expect(&r, "render --stage 'expert=pony.safetensors;prompt=@none.txt'", 66,
                    "none.txt");
    rf_spawn_expect(&r, "render --stage 'expert=none.safetensors'", 66, "none.safetensors");
    rf_spawn_expect(&r, "render --size 64x64 --stage 'expert=pony.safetensors;until=1'", 0,
                    "until= of the last --stage has no effect");
}

Test(loras, a_relays_files_are_not_overwritten)
{
    rf_spawn_write("expert.png", "SDXL");
    rf_spawn_expect(&r,
                    "render --size 64x64 --overwrite -o expert.png --stage "
                    "'expert=pony.safetensors;until=0.5' --stage expert=expert.png",
                    2, "--stage");
}

Test(loras, a_stages_prompt_may_be_a_file)
{
    rf_spawn_write("prompt.txt", "cat; <lora:detail>, !loras\n");
    given("render --size 64x64 --lora-dir loras --overwrite -p bird --stage "
          "'expert=pony.safetensors;prompt=@prompt.txt'",
          "0: loras/detail.safetensors 1 1 everywhere");
    given("render --size 64x64 --lora-dir loras --overwrite -p '!loras <lora:style>' --stage "
          "'expert=pony.safetensors'",
          "0: loras/style.safetensors 1 1 everywhere");
}

/* ---- reports and replays -------------------------------------------------------------------- */

Test(loras, how_they_fit_is_told)
{
    rf_spawn_write("loras/half.safetensors", "half");
    rf_spawn_expect(&r, RENDER "--lora detail", 0,
                    "refinery: detail.safetensors in pony: 722/722 UNet, 72/72 te1, 192/192 te2 "
                    "modules\nrefinery: detail.safetensors in anime: 722/722");
    rf_spawn_expect(&r, RENDER "--base-lora half --dry-run", 0, "361/722 UNet, 72/72 te1");
    rf_spawn_expect(&r, RENDER "--lora half --json -q", 0, "");
    cr_expect(strstr(r.out, "\"matched\":{\"unet\":361,\"te1\":72,\"te2\":192}"), "%s", r.out);
    rf_spawn_expect(&r, RENDER "--base-lora half --json -q --dry-run", 0, "");
    cr_expect(strstr(r.out, "\"loras\":[[{"), "%s", r.out);
    rf_spawn_expect(&r, RENDER "--json -q", 0, "");
    cr_expect(strstr(r.out, "\"loras\":[[],[]]"), "%s", r.out);
}

/* A LoRA of one module whose metadata say `words`. */
static void write_lora(const char *path, const char *words)
{
    char      header[300];
    const int n = snprintf(header, sizeof header,
                           "{\"__metadata__\":{\"words\":\"%s\"},\"lora_unet_x.lora_down.weight\":"
                           "{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}",
                           words);
    fixture_file(path, header, (size_t)n, 4);
}

#define REPLAY "replay out.png --models . --lora-dir elsewhere -o again.png --overwrite "

Test(loras, a_replay_finds_them_by_their_hashes)
{
    write_lora("loras/real.safetensors", "before");
    rf_spawn_expect(&r, RENDER "-p '!loras' --lora real:0.8:0.5 --refiner-lora style:2", 0, "");
    cr_assert_eq(rename("loras", "elsewhere"), 0);
    cr_assert_eq(rename("elsewhere/style.safetensors", "elsewhere/other name.safetensors"), 0);
    given(REPLAY, "0: elsewhere/real.safetensors 0.8 0.5\n"
                  "1: elsewhere/real.safetensors 0.8 0.5\n"
                  "1: elsewhere/other name.safetensors 2 2");
    given("replay out.png --models . -o again.png --overwrite",
          "0: ./elsewhere/real.safetensors 0.8 0.5\n"
          "1: ./elsewhere/real.safetensors 0.8 0.5\n"
          "1: ./elsewhere/other name.safetensors 2 2");
    write_lora("elsewhere/real.safetensors", "edited"); /* the weights are the same */
    given(REPLAY, "0: elsewhere/real.safetensors 0.8 0.5\n"
                  "1: elsewhere/real.safetensors 0.8 0.5\n"
                  "1: elsewhere/other name.safetensors 2 2");
    rf_spawn_write("elsewhere/real.safetensors", "damaged");
    rf_spawn_expect(&r, REPLAY, 66, "the picture's LoRA, real (SHA-256 ");
    cr_expect(strstr(r.err, "--models DIR or --lora-dir DIR searches a folder"));
    write_lora("elsewhere/real.safetensors", "more");
    rf_spawn_write("elsewhere/other name.safetensors", "changed");
    rf_spawn_write("elsewhere/style.safetensors", "changed, too");
    rf_spawn_expect(&r, REPLAY, 65,
                    "style.safetensors is not the picture's LoRA, style: its SHA-256");
    rf_spawn_expect(&r, REPLAY "--any-model", 0, "is not the picture's LoRA");
    rf_spawn_expect(&r, "replay out.png --lora-dir nowhere", 66,
                    "--lora-dir nowhere: no such folder");
}

/* ---- inspect ------------------------------------------------------------------------------ */

static void add(fixture *f, const char *name, int64_t a, int64_t b)
{
    fixture_add(f, name, "F16", 2, (const int64_t[]){a, b}, 2);
}

Test(loras, inspect_says_what_one_is_and_fits)
{
    static const char Q[] = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q";
    json_error_t      error;
    int               usable = 0, complete = 1, unet = 0, rank = 0, matched = 0;
    char              name[200];
    fixture           f = {0};
    rf_spawn_expect(&r, "synth -q --seed 3 tiny.safetensors", 0, "");
    snprintf(name, sizeof name, "%s.lora_down.weight", Q);
    add(&f, name, 4, 64);
    snprintf(name, sizeof name, "%s.lora_up.weight", Q);
    add(&f, name, 64, 4);
    add(&f, "lora_unet_nowhere.lora_down.weight", 4, 8);
    add(&f, "lora_unet_nowhere.lora_up.weight", 8, 4);
    fixture_write(&f, "one.safetensors");
    rf_spawn_expect(&r, "inspect one.safetensors --against tiny.safetensors", 0, "");
    cr_expect(strstr(r.out, "one.safetensors: LoRA"), "%s", r.out);
    cr_expect(strstr(r.out, "LoRA in 2 modules, rank 4, F16"), "%s", r.out);
    cr_expect(strstr(r.out, "fits 1/2 UNet of tiny.safetensors"), "%s", r.out);
    cr_expect(strstr(r.out, "what does not fit: module lora_unet_nowhere"), "%s", r.out);
    rf_spawn_expect(&r, "inspect --json --hash one.safetensors --against tiny.safetensors", 0, "");
    json_t *o = json_loads(r.out, 0, &error);
    cr_assert_not_null(o, "%s", r.out);
    cr_assert_eq(json_unpack(o, "{s:{s:b, s:i, s:{s:i}, s:{s:b, s:{s:i}}}}", "lora", "usable",
                             &usable, "rank_max", &rank, "modules", "unet", &unet, "fit",
                             "complete", &complete, "matched", "unet", &matched),
                 0, "%s", r.out);
    cr_expect(usable && !complete && unet == 2 && rank == 4 && matched == 1);
    cr_expect_eq(strlen(json_string_value(json_object_get(o, "body_sha256"))), 64u);
    json_decref(o);
    rf_spawn_expect(&r, "inspect one.safetensors --against pony.safetensors", 65, "pony");
    rf_spawn_expect(&r, "inspect one.safetensors --against none.safetensors", 66, "none");
}

Test(loras, inspect_says_why_one_cannot_be_used)
{
    fixture f = {0};
    add(&f, "lora_unet_x.oft_blocks", 4, 4);
    fixture_write(&f, "oft.safetensors");
    rf_spawn_expect(&r, "inspect oft.safetensors", 0, "");
    cr_expect(strstr(r.out, "as LoRA: "), "%s", r.out);
    cr_expect(strstr(r.out, "OFT"), "%s", r.out);
    f = (fixture){0};
    add(&f, "lora_unet_x.lora_down.weight", 4, 4);
    fixture_write(&f, "half.safetensors");
    rf_spawn_expect(&r, "inspect half.safetensors", 0, "");
    cr_expect(strstr(r.out, "as LoRA: "), "%s", r.out);
    rf_spawn_expect(&r, "inspect --json half.safetensors", 0, "");
    cr_expect(strstr(r.out, "\"lora\":{\"usable\":false,\"problem\":\"half.safetensors"), "%s",
              r.out);
}

Test(loras, what_a_file_says_is_printed_safely)
{
    static const char header[] =
        "{\"__metadata__\":{\"ss_output_name\":\"a\\u001b[2Jb\",\"ss_network_module\":\"None\","
        "\"modelspec.trigger_phrase\":\"ohwx\"},"
        "\"lora_unet_x.lora_down.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],"
        "\"data_offsets\":[0,4]},\"lora_unet_x.lora_up.weight\":{\"dtype\":\"F32\","
        "\"shape\":[1,1],\"data_offsets\":[4,8]},\"bundle_emb.charm.clip_l\":{\"dtype\":\"F32\","
        "\"shape\":[1,1],\"data_offsets\":[8,12]}}";
    fixture_file("says.safetensors", header, sizeof header - 1, 12);
    rf_spawn_expect(&r, "inspect says.safetensors", 0, "");
    cr_expect(strstr(r.out, "name, as it says: a?[2Jb\n"), "%s", r.out);
    cr_expect(strstr(r.out, "trigger words, as it says: ohwx\n"), "%s", r.out);
    cr_expect(strstr(r.out, "embeddings in it: charm\n"), "%s", r.out);
    cr_expect_null(strstr(r.out, "made by"));
    cr_expect_null(strchr(r.out, 0x1B));
}

/* A file of one module with that ss_tag_frequency, JSON in JSON. */
static void inspect_tags(const char *frequency)
{
    char      header[2000];
    const int n = snprintf(header, sizeof header,
                           "{\"__metadata__\":{\"ss_tag_frequency\":\"%s\"},"
                           "\"lora_unet_x.lora_down.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],"
                           "\"data_offsets\":[0,4]},\"lora_unet_x.lora_up.weight\":{\"dtype\":"
                           "\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]}}",
                           frequency);
    fixture_file("tags.safetensors", header, (size_t)n, 8);
    rf_spawn_expect(&r, "inspect tags.safetensors", 0, "");
}

#define Q "\\\""

Test(loras, the_words_it_was_trained_on_are_told)
{
    static const char *const odd[] = {"",
                                      "None",
                                      "[1,2]",
                                      "{" Q "a" Q ":3}",
                                      "{" Q "a" Q ":{" Q "b" Q ":-1}}",
                                      "{" Q "a",
                                      "{" Q "a" Q ":{" Q "b" Q ":{}," Q Q ":7}}",
                                      "[[[[[[[[[[[["};
    inspect_tags("{" Q "1_x" Q ":{" Q "ohwx" Q ":20," Q "tree" Q ":3," Q "sky" Q
                 ":9223372036854775807}," Q "2_y" Q ":{" Q "tree" Q ":30," Q "sky" Q ":1}}");
    cr_expect(strstr(r.out, "  most frequent tags, as it says: sky, tree, ohwx\n"), "%s", r.out);
    rf_spawn_expect(&r, "inspect --json tags.safetensors", 0, "");
    cr_expect(strstr(r.out, "\"training_tags\":[[\"sky\",9223372036854775807],[\"tree\",33],"),
              "%s", r.out);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        inspect_tags(odd[i]);
        cr_expect_null(strstr(r.out, "most frequent"), "%s: %s", odd[i], r.out);
    }
}
