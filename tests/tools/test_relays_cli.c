/* Relays from outside: files, names, and what stages say of themselves. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
    cr_assert_eq(mkdir("loras", 0700), 0);
    cr_assert_eq(mkdir("sub", 0700), 0);
    cr_assert_eq(mkdir("config", 0700), 0);
    rf_spawn_write("loras/detail.safetensors", "detail");
    rf_spawn_write("sub/style.safetensors", "style");
    rf_spawn_write("sub/words.txt", "by a painter\n");
    char here[4000];
    cr_assert_not_null(realpath("config", here));
    cr_assert_eq(setenv("XDG_CONFIG_HOME", here, 1), 0);
}

TestSuite(relays, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

#define EXPLAIN "explain --json --steps 8 "
#define RENDER  "render --size 64x64 --steps 8 --overwrite --lora-dir loras "

static void expect_out(const char *command, const char *part)
{
    rf_spawn_expect(&r, command, 0, "");
    cr_expect(strstr(r.out, part), "%s: no %s in %s", command, part, r.out);
}

/* ---- pairs -------------------------------------------------------------------------------- */

Test(relays, stages_have_numbers_of_their_own)
{
    expect_out(EXPLAIN "--stage 'until=0.5;eta=0.25;cfg=7..5' --stage 's_noise=1.01;clip_skip=3' "
                       "--eta 0.75 --s-churn 2 -p cat --clip-l-skip",
               "\"stages\":[{\"expert\":null,\"sampler\":null,\"cfg_ramp\":-2.0,"
               "\"clip_skip\":null,\"sampling\":{\"eta\":0.25,\"s_churn\":2.0,\"s_tmin\":0.0,"
               "\"s_tmax\":0.0,\"s_noise\":1.0}},{\"expert\":null,\"sampler\":null,"
               "\"cfg_ramp\":0.0,\"clip_skip\":3,\"sampling\":{\"eta\":0.75,\"s_churn\":2.0,"
               "\"s_tmin\":0.0,\"s_tmax\":0.0,\"s_noise\":1.01}}]");
    cr_expect_str_eq(r.err, "");
    expect_out("explain --steps 8 --stage 'until=0.5;eta=0.25;cfg=7..5' --stage "
               "'s_noise=1.01;clip_skip=3' --eta 0.75 -p cat",
               "stage 1, CFG from");
    cr_expect(strstr(r.out, ", eta 0.25\n"), "%s", r.out);
    cr_expect(strstr(r.out, "stage 2, s_noise 1.01, clip skip 3\n"), "%s", r.out);
    cr_expect(strstr(r.err, "clip_skip of a stage has no effect without --clip-l-skip"));
}

Test(relays, every_key_is_documented)
{
    static const char *const keys[] = {
        "expert=", "until=",   "cfg=",       "sampler=", "eta=",      "s_churn=", "s_tmin=",
        "s_tmax=", "s_noise=", "clip_skip=", "lora=",    "negative=", "prompt="};
    rf_spawn_expect(&r, "help relays", 0, "");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_expect(strstr(r.out, keys[i]), "%s", keys[i]);
    rf_spawn_expect(&r, "help render all", 0, "");
    cr_expect(strstr(r.out, "see refinery help relays"), "%s", r.out);
}

Test(relays, every_expert_is_in_the_result)
{
    expect_out(RENDER "--json --stage 'expert=pony.safetensors;until=0.25;cfg=7..5' "
                      "--stage 'expert=anime.safetensors;until=0.5' "
                      "--stage 'expert=pony.safetensors;until=0.75;cfg=3' "
                      "--stage 'expert=anime.safetensors' -p cat",
               "\"experts\"");
    const char *at = strstr(r.out, "\"experts\"");
    int         count = 0;
    for (const char *p = at; (p = strstr(p, "\"first_step\"")); p++) count++;
    cr_expect_eq(count, 4, "%s", r.out);
    cr_expect(strstr(at, "\"cfg\":5.0") || strstr(at, "\"cfg\": 5.0"), "%s", at);
}

/* ---- files -------------------------------------------------------------------------------- */

#define TWO                                                                                        \
    "{\"summary\": \"two of them\", \"steps\": 6, \"switch_by\": \"step\",\n"                      \
    " \"stages\": [{\"expert\": \"../pony.safetensors\", \"until\": 2, \"cfg\": \"8..4\",\n"       \
    "  \"lora\": [\"style.safetensors:0.5\", \"detail\"], \"prompt\": \"score_9, {prompt}\"},\n"   \
    " {\"expert\": \"../anime.safetensors\", \"eta\": 0.5, \"negative\": \"@words.txt\",\n"        \
    "  \"prompt\": \"masterpiece, {prompt}\"}]}"

/* The file's files are beside it; options win over its settings. */
Test(relays, a_file_says_all_of_it)
{
    rf_spawn_write("sub/two.json", TWO);
    expect_out("explain --json --lora-dir loras --relay sub/two.json -p 'a fox'", "score_9, a fox");
    cr_expect(strstr(r.out, "masterpiece, a fox"), "%s", r.out);
    cr_expect(strstr(r.out, "by a painter"), "%s", r.out);
    cr_expect(strstr(r.out, "\"steps\":6"), "%s", r.out);
    cr_expect(strstr(r.out, "\"by\":\"step\",\"at\":2.0"), "%s", r.out);
    cr_expect(strstr(r.out, "\"path\":\"sub/style.safetensors\",\"unet\":0.5"), "%s", r.out);
    cr_expect(strstr(r.out, "\"path\":\"loras/detail.safetensors\",\"unet\":1.0"), "%s", r.out);
    cr_expect(strstr(r.out, "\"eta\":0.5"), "%s", r.out);
    cr_expect(strstr(r.out, "\"expert\":\"anime\""), "%s", r.out);
    expect_out("explain --json --lora-dir loras --relay sub/two.json --steps 9 --switch-by sigma "
               "-n bad",
               "\"steps\":9");
    cr_expect(strstr(r.out, "\"by\":\"sigma\""), "%s", r.out);
    cr_expect(strstr(r.out, "\"text\":\"bad\""), "%s", r.out);
    rf_spawn_expect(&r, RENDER "--relay sub/two.json -q -o out.png", 0, "");
}

/* Without {prompt} anywhere, --prompt takes the place of the first stage's. */
Test(relays, a_prompt_takes_the_place_of_the_first)
{
    rf_spawn_write("r.json", "{\"stages\": [{\"until\": 0.5, \"prompt\": \"cat\"}, {}]}");
    expect_out("explain --json --steps 4 --relay ./r.json", "\"text\":\"cat\"");
    expect_out("explain --json --steps 4 --relay ./r.json -p dog", "\"text\":\"dog\"");
    cr_expect_null(strstr(r.out, "cat"));
}

Test(relays, files_that_are_wrong_are_said_in_a_sentence)
{
    static const struct {
        const char *json, *said;
    } wrong[] = {
        {"", "line 1: this is not JSON"},
        {"{\"stages\": [\n{\"expert\": \"a\",\n,}]}", "r.json: line 3: this is not JSON"},
        {"[]", "a relay is an object with \"stages\""},
        {"{}", "\"stages\" is no list of 1 to 64"},
        {"{\"stages\": []}", "\"stages\" is no list of 1 to 64"},
        {"{\"stages\": {}}", "\"stages\" is no list of 1 to 64"},
        {"{\"stages\": [1]}", "r.json: stage 1 is no object"},
        {"{\"stage\": [{}]}", "did you mean \"stages\"?"},
        {"{\"schema\": 2, \"stages\": [{}]}", "\"schema\" is not 1"},
        {"{\"stages\": [{\"expert\": \"a\"}, {\"expert\": \"b\"}]}", "stage 1: until= is missing"},
        {"{\"stages\": [{\"until\": 0.5}]}", "stage 1 has no \"expert\""},
        {"{\"stages\": [{\"exprt\": \"a\"}]}", "did you mean 'expert'?"},
        {"{\"stages\": [{\"expert\": null}]}", "\"expert\" is neither a string nor a number"},
        {"{\"stages\": [{\"expert\": \"a\", \"cfg\": [6, 4]}]}", "\"cfg\" is neither"},
        {"{\"stages\": [{\"expert\": \"a\", \"cfg\": \"6..x\"}]}", "stage 1 cfg: 'x' is not"},
        {"{\"stages\": [{\"expert\": \"a\", \"cfg\": -1}]}", "stage 1 cfg: '-1' is not"},
        {"{\"stages\": [{\"expert\": \"a\", \"cfg\": 1e999}]}", "this is not JSON"},
        {"{\"stages\": [{\"expert\": \"a\", \"eta\": 101}]}", "stage 1 eta: '101' is not"},
        {"{\"stages\": [{\"expert\": \"a\", \"clip_skip\": 0}]}", "stage 1 clip_skip: '0' is not"},
        {"{\"stages\": [{\"expert\": \"a\", \"lora\": [1, {}]}]}", "nor a list of strings"},
        {"{\"stages\": [{\"expert\": \"a\", \"expert\": \"b\"}]}", "duplicate"},
        {"{\"stages\": [{\"expert\": \"a\", \"sampler\": \"\"}]}", "sampler: there is nothing"},
        {"{\"stages\": [{\"expert\": \"pony.safetensors\", \"lora\": \"x:y\"}]}",
         "r.json: stage 1 lora: 'y' is not a strength"},
        {"{\"steps\": 0, \"stages\": [{\"expert\": \"a\"}]}", "\"steps\" is no whole number"},
        {"{\"sampler\": 1, \"stages\": [{\"expert\": \"a\"}]}", "\"sampler\" is no string"},
        {"{\"stages\": [{\"expert\": \"\\u0000\"}]}", "this is not JSON"},
        {"{\"stages\": [{\"expert\": \"\xFF\"}]}", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rf_spawn_write("r.json", wrong[i].json);
        rf_spawn_expect(&r, RENDER "--relay r.json", 65, wrong[i].said);
    }
    rf_spawn_write("r.json", "{\"stages\": [{\"expert\": \"a\", \"prompt\": \"@none.txt\"}]}");
    rf_spawn_expect(&r, RENDER "--relay r.json", 66, "./none.txt");
    rf_spawn_expect(&r, RENDER "--relay none.json", 66, "none.json");
    rf_spawn_expect(&r, RENDER "--relay ./sub -p x", 74, "sub");
    rf_spawn_expect(&r, RENDER "--relay r.json --stage expert=a", 2, "exclude each other");
    rf_spawn_expect(&r, RENDER "--relay r.json --base a", 2, "--relay and --base exclude");
}

/* Deep, long and many: refused, or read, within a moment. */
Test(relays, hostile_files_end_in_a_sentence)
{
    FILE *f = fopen("deep.json", "w");
    for (int i = 0; i < 300000; i++) fputs("[", f);
    fclose(f);
    rf_spawn_expect(&r, RENDER "--relay deep.json", 65, "deep.json: line 1");
    f = fopen("long.json", "w");
    fputs("{\"stages\": [{\"expert\": \"", f);
    for (int i = 0; i < 1 << 20; i++) fputc('x', f);
    fputs("\"}]}", f);
    fclose(f);
    rf_spawn_expect(&r, RENDER "--relay long.json", 65, "long.json");
    f = fopen("many.json", "w");
    fputs("{\"stages\": [{}", f);
    for (int i = 0; i < 64; i++) fputs(",{\"until\":1}", f);
    fputs("]}", f);
    fclose(f);
    rf_spawn_expect(&r, RENDER "--relay many.json", 65, "no list of 1 to 64");
    f = fopen("loras.json", "w");
    fputs("{\"stages\": [{\"expert\": \"pony.safetensors\", \"lora\": [\"x\"", f);
    for (int i = 0; i < 256; i++) fputs(",\"x\"", f);
    fputs("]}]}", f);
    fclose(f);
    rf_spawn_expect(&r, RENDER "--relay loras.json", 65, "more than 256 LoRAs");
    f = fopen("marks.json", "w");
    fputs("{\"stages\": [{\"expert\": \"pony.safetensors\", \"prompt\": \"", f);
    for (int i = 0; i < 100000; i++) fputs("{prompt}", f);
    fputs("\"}]}", f);
    fclose(f);
    rf_spawn_expect(&r, RENDER "--relay marks.json -p 'a cat on the roof of a house'", 2,
                    "longer than 1 MiB");
}

/* ---- names -------------------------------------------------------------------------------- */

Test(relays, a_relay_is_saved_and_asked_for_by_its_name)
{
    rf_spawn_expect(&r, "relays", 0, "");
    cr_expect(strstr(r.out, "no relays in "), "%s", r.out);
    rf_spawn_expect(&r,
                    RENDER "-q --lora loras/detail.safetensors:0.5 --save-relay pony-mix "
                           "--stage 'expert=pony.safetensors;until=0.5;cfg=7..5;lora=detail' "
                           "--stage 'expert=anime.safetensors;eta=0.5;sampler=DPM++ 2M SDE;"
                           "negative=bad;prompt=a; b' -p 'cat \"x\"' -o one.png",
                    0, "");
    cr_assert(rf_spawn_exists("config/refinery/relays/pony-mix.json"));
    rf_spawn_expect(&r, RENDER "-q --relay pony-mix -o two.png", 0, "");
    expect_out(EXPLAIN "--relay pony-mix --lora-dir loras", "\"cfg_ramp\":-2.0");
    cr_expect(strstr(r.out, "\"eta\":0.5"), "%s", r.out);
    expect_out("relays", "pony-mix\n  pony.safetensors to 0.5, anime.safetensors to the end");
    expect_out("relays --json", "\"name\":\"pony-mix\",\"path\":\"");
    rf_spawn_expect(&r, RENDER "--relay pony-mx", 66, "did you mean 'pony-mix'?");
    rf_spawn_expect(&r, RENDER "-q --save-relay ../x -m pony.safetensors -p a", 2, "is no name");
    rf_spawn_expect(&r, RENDER "-q --save-relay x -m pony.safetensors -p 'a {prompt}'", 2,
                    "says {prompt}");
    rf_spawn_write("config/refinery/relays/broken.json", "{");
    rf_spawn_expect(&r, "relays", 0, "broken.json: line 1");
    cr_expect(strstr(r.out, "pony-mix"), "the others are listed");
    rf_spawn_expect(&r,
                    "render --size 64x64 --steps 8 -q --save-relay pony-mix -m pony.safetensors "
                    "-p a -o three.png",
                    73, "pony-mix.json exists");
}

/* A base and a refiner become a relay too. */
Test(relays, a_base_and_a_refiner_are_kept)
{
    rf_spawn_expect(&r,
                    RENDER "-q -m pony.safetensors -r anime.safetensors -x 0.25 --cfg-scale 4 "
                           "--refiner-lora detail -p cat --refiner-prompt dog --save-relay two -o "
                           "one.png",
                    0, "");
    rf_spawn_expect(&r, RENDER "-q --relay two -o two.png", 0, "");
    expect_out(EXPLAIN "--relay two --lora-dir loras", "\"text\":\"dog\"");
    cr_expect(strstr(r.out, "\"path\":\"loras/detail.safetensors\""), "%s", r.out);
    expect_out("relays", "two\n  pony.safetensors to 0.25, anime.safetensors to the end");
}
