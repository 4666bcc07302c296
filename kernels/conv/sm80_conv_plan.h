/* How the sm80 conv lays out its packed weights: what both the kernel and those who only count
 * bytes must know. */
#ifndef RF_SM80_CONV_PLAN_H
#define RF_SM80_CONV_PLAN_H

#include "kernels/conv/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_CONV_TAPS = 9 };

/* Channels of a tap in the packed weights: in whole pieces of 8, which is 16 bytes. */
static inline int rf_conv_packed_channels_sm80(int cin)
{
    return (cin + 7) / 8 * 8;
}

#ifdef __cplusplus
}
#endif
#endif
