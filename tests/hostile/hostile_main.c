/* Writes the malformed files into a folder, and a list of them to standard output: for those who
 * want to try them elsewhere (`./dev hostile DIR`). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/hostile/hostile.h"

static void list(void *user, const hostile_case *c, const char *path)
{
    static const char *const slots[] = {"checkpoint", "vae", "lora", "folder", "embedding"};
    char                     what[160];
    (void)user;
    snprintf(what, sizeof what, "%s", c->what);
    rf_make_printable(what);
    printf("%s\t%s\t%s\t%s\t%s\n", c->id, slots[c->slot], rf_status_name(c->want),
           strrchr(path, '/') + 1, what);
}

int main(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: hostile_files DIR\n", stderr);
        return 2;
    }
    hostile h = {.folder = argv[1], .made = list};
    mkdir(argv[1], 0777); /* it may be there */
    for (int i = 0; hostile_family_at(i); i++) hostile_family_at(i)(&h);
    return 0;
}
