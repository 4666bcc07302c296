/* Textual inversions through the whole program: named, found in a folder, and found again by a
 * replay wherever they went. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/tools/spawn.h"

enum { L = 64, G = 64, VECTORS = 2, HEADER_BYTES = 256 }; /* of the tiny experts */

static rf_spawned r;

/* An embedding whose numbers follow from `seed`. */
static void write_embedding(const char *path, unsigned seed)
{
    char           header[HEADER_BYTES];
    const int      l = VECTORS * L * 4, g = VECTORS * G * 4;
    const uint64_t bytes = HEADER_BYTES;
    const int      used = snprintf(header, sizeof header,
                                   "{\"clip_l\":{\"dtype\":\"F32\",\"shape\":[%d,%d],"
                                        "\"data_offsets\":[0,%d]},\"clip_g\":{\"dtype\":\"F32\","
                                        "\"shape\":[%d,%d],\"data_offsets\":[%d,%d]}}",
                                   VECTORS, L, l, VECTORS, G, l, l + g);
    memset(header + used, ' ', sizeof header - (size_t)used);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(&bytes, sizeof bytes, 1, file), 1u);
    cr_assert_eq(fwrite(header, sizeof header, 1, file), 1u);
    for (int i = 0; i < (l + g) / 4; i++) {
        seed = seed * 1664525u + 1013904223u;
        const float x = (float)((int)(seed >> 24) - 128) / 64;
        cr_assert_eq(fwrite(&x, sizeof x, 1, file), 1u);
    }
    cr_assert_eq(fclose(file), 0);
}

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth -q --seed 1 a.safetensors", 0, "");
    rf_spawn(&r, "version > /dev/null; mkdir -p embeddings/below elsewhere");
    write_embedding("embeddings/badhands.safetensors", 1);
    write_embedding("embeddings/below/other.safetensors", 2);
}

TestSuite(embeddings_story, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 120);

#define SMALL "-q --threads 1 --size 64x64 --steps 2 -m a.safetensors --overwrite "

static int same_files(const char *a, const char *b)
{
    char command[200];
    snprintf(command, sizeof command, "version > /dev/null; cmp -s %s %s", a, b);
    rf_spawn(&r, command);
    return r.code == 0;
}

Test(embeddings_story, a_folder_gives_what_prompts_say)
{
    rf_spawn_expect(&r, "render " SMALL "-p cat -n BadHands -o plain.png", 0, "");
    rf_spawn_expect(
        &r, "render " SMALL "-p cat -n BadHands --embedding-dir embeddings -o found.png", 0, "");
    rf_spawn_expect(&r,
                    "render " SMALL
                    "-p cat -n BadHands --embedding embeddings/badhands.safetensors -o named.png",
                    0, "");
    cr_expect(same_files("found.png", "named.png"));
    cr_expect(!same_files("found.png", "plain.png"));
    rf_spawn_expect(&r, "meta found.png", 0, "");
    cr_expect(strstr(r.out, "TI hashes: \"badhands: ") || strstr(r.out, "badhands: "), "%s", r.out);
    cr_expect(!strstr(r.out, "other"), "%s", r.out);
}

Test(embeddings_story, a_replay_finds_them_by_hash)
{
    rf_spawn_expect(&r,
                    "render " SMALL
                    "-p 'a zz, b' --embedding zz=embeddings/badhands.safetensors -o one.png",
                    0, "");
    rf_spawn_expect(&r, "replay one.png -q --threads 1 -o again.png", 0, "");
    cr_expect(same_files("one.png", "again.png"));
    rf_spawn(&r, "version > /dev/null; mv embeddings/badhands.safetensors elsewhere/x.safetensors");
    rf_spawn_expect(&r, "replay one.png -q --threads 1 -o no.png", 66, "badhands");
    rf_spawn_expect(&r, "replay one.png -q --threads 1 --embedding-dir elsewhere -o there.png", 0,
                    "");
    rf_spawn(&r, "version > /dev/null; mv elsewhere/x.safetensors embeddings/badhands.safetensors");
    rf_spawn_expect(&r, "replay one.png -q --threads 1 --overwrite -o again.png", 0, "");
    cr_expect(same_files("one.png", "again.png"));
    write_embedding("embeddings/badhands.safetensors", 3); /* another one of that name */
    rf_spawn_expect(&r, "replay one.png -q --threads 1 -o no.png", 65, "badhands");
}

Test(embeddings_story, mistakes_are_told)
{
    rf_spawn_expect(&r,
                    "render --threads 1 --size 64x64 --steps 1 -m a.safetensors -p cat -o a.png "
                    "--embedding embeddings/badhands.safetensors",
                    0, "no prompt says this name");
    rf_spawn_expect(&r, "render " SMALL "-p cat --embedding a.safetensors", 65,
                    "holds no textual inversion");
    rf_spawn_expect(&r, "render " SMALL "-p cat --embedding none.safetensors", 66,
                    "none.safetensors");
    rf_spawn_expect(&r, "render " SMALL "-p cat --embedding =a.safetensors", 2, "no name before");
    rf_spawn_expect(&r, "render " SMALL "-p cat --embedding-dir nowhere", 66, "--embedding-dir");
}
