/* timestep on the CPU: the reference itself.  The contract asks for f64 and one rounding, and a
 * whole run needs some ten thousand values, once. */
#include "kernels/timestep/timestep.h"

rf_status rf_timestep_cpu(void *stream, const rf_timestep_args *a)
{
    return rf_timestep_ref(stream, a);
}
