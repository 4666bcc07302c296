/* `refinery convert` from outside: options, exit codes, and what a kill leaves. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth -q --seed 3 tiny.safetensors", 0, "");
}

TestSuite(convert_cli, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

Test(convert_cli, names_decide_and_the_hash_is_told)
{
    const char *hash = NULL;
    int         tensors = 0, dropped = -1;
    rf_spawn_expect(&r, "convert tiny.safetensors folder", 0, "");
    cr_expect(strncmp(r.out, "folder\n", 7) == 0 && strstr(r.out, "AutoV2"), "%s", r.out);
    cr_expect(rf_spawn_exists("folder/unet/config.json"));
    rf_spawn_expect(&r, "inspect folder/vae", 0, "");
    cr_expect(strstr(r.out, "10,504,974 bytes, 248 tensors"), "%s", r.out);
    rf_spawn_expect(&r, "convert --json folder back.safetensors --dtype bf16", 0, "");
    json_t *o = json_loads(r.out, 0, NULL);
    cr_assert_eq(json_unpack(o, "{s:s, s:i, s:i}", "sha256", &hash, "tensors", &tensors, "dropped",
                             &dropped),
                 0, "%s", r.out);
    static rf_spawned sum;
    rf_spawn(&sum, "version > /dev/null; sha256sum back.safetensors");
    cr_expect_eq(strncmp(sum.out, hash, 64), 0, "%s", sum.out);
    cr_expect(tensors > 900 && dropped == 0);
    json_decref(o);
    rf_spawn_expect(&r, "inspect back.safetensors", 0, "");
    cr_expect(strstr(r.out, "as base or refiner: works"), "%s", r.out);
    rf_spawn_expect(&r, "convert -q folder quiet.safetensors", 0, "");
    cr_expect_str_eq(r.out, "quiet.safetensors\n");
}

Test(convert_cli, mistakes_have_their_codes)
{
    rf_spawn_write("page.safetensors", "<html>log in</html>");
    rf_spawn_expect(&r, "convert tiny.safetensors", 2, "");
    rf_spawn_expect(&r, "convert tiny.safetensors out.safetensors --dtype int8", 2, "bf16");
    rf_spawn_expect(&r, "convert tiny.safetensors result --layout file", 2, ".safetensors");
    rf_spawn_expect(&r, "convert none.safetensors result", 66, "none.safetensors");
    rf_spawn_expect(&r, "convert page.safetensors result", 65, "web page");
    rf_spawn_expect(&r, "convert tiny.safetensors result --lora tiny.safetensors", 65,
                    "not a LoRA");
    rf_spawn_expect(&r, "convert tiny.safetensors result --lora none.safetensors:0.5", 66, "none");
    rf_spawn_expect(&r, "convert tiny.safetensors result --lora none.safetensors:300", 2,
                    "strength");
    rf_spawn_expect(&r, "convert tiny.safetensors tiny.safetensors", 73, "--overwrite");
    rf_spawn_expect(&r, "merge tiny.safetensors result", 2, "convert");
    cr_expect_not(rf_spawn_exists("result"));
}

/* --overwrite is meant for the result, and never costs what the result is made of. */
Test(convert_cli, what_is_read_is_not_written_over)
{
    rf_spawn(&r, "version > /dev/null; mkdir other && touch other/mine; cp " RF_ROOT
                 "/tests/golden/lora_peft.safetensors lora.safetensors");
    rf_spawn_expect(&r, "convert -q tiny.safetensors folder", 0, "");
    rf_spawn_expect(&r,
                    "convert folder/ folder/unet/diffusion_pytorch_model.safetensors --overwrite",
                    73, "lies inside folder/");
    rf_spawn_expect(&r, "convert folder folder/../folder/new", 73, "lies inside folder");
    rf_spawn_expect(&r,
                    "convert tiny.safetensors lora.safetensors --lora lora.safetensors "
                    "--overwrite",
                    73, "is the LoRA that is read");
    rf_spawn_expect(&r, "convert folder tiny.safetensors --vae ./tiny.safetensors --overwrite", 73,
                    "is the VAE that is read");
    rf_spawn_expect(&r, "convert tiny.safetensors other --overwrite", 73, "other: is not replaced");
    cr_expect_not(strstr(r.err, "hint"), "%s", r.err);
    rf_spawn_expect(&r, "convert -q folder folder --dtype bf16 --overwrite", 0, "");
    rf_spawn_expect(&r, "convert -q folder folder2", 0, "");
}

/* Whenever it is killed: under its name there is nothing, or all of it. */
Test(convert_cli, a_kill_leaves_all_or_nothing)
{
    char *const words[] = {"convert", "tiny.safetensors", "out.safetensors", "--dtype", "f32",
                           NULL};
    for (int wait = 0; wait < 12; wait++) {
        unlink("out.safetensors");
        const pid_t pid = rf_spawn_start(words);
        usleep((unsigned)wait * 8000);
        kill(pid, wait % 2 ? SIGKILL : SIGTERM);
        rf_spawn_wait(&r, pid);
        cr_expect(r.code == 0 || r.code == 143 || r.code == 1000 + SIGKILL ||
                      r.code == 1000 + SIGTERM,
                  "exit %d: %s", r.code, r.err);
        if (r.code == 143) cr_expect_not(rf_spawn_exists("out.safetensors"));
        if (!rf_spawn_exists("out.safetensors")) continue;
        rf_spawn_expect(&r, "inspect out.safetensors", 0, "");
    }
}
