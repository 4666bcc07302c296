/* refinery-assemble: the demo experts' checkpoints from the parts that the tree holds. */
#include <stdio.h>
#include <string.h>

#include "tools/assemble/assemble.h"

static const char HELP[] =
    "usage: refinery-assemble PARTS.safetensors base|refiner OUT.safetensors\n";

int main(int argc, char **argv)
{
    rf_error err = {0};
    if (argc != 4 || (strcmp(argv[2], "base") != 0 && strcmp(argv[2], "refiner") != 0)) {
        fputs(HELP, stderr);
        return 2;
    }
    if (rf_assemble(argv[3], argv[1], argv[2], &err) == RF_OK) return 0;
    fprintf(stderr, "refinery-assemble: %s\n", err.message);
    return 1;
}
