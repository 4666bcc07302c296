/* Where CMake found no MPI. */
#include "tools/sweep/ranks_link.h"

rf_status rf_link_open(rf_link *out, rf_error *err)
{
    *out = (rf_link){0};
    return rf_fail(err, RF_E_UNSUPPORTED,
                   "a launcher started several processes, but this refinery was built without MPI: "
                   "build it where libopenmpi-dev is installed, or give each process a --shard");
}
