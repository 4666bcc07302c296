/* Makes an exact single-file SDXL checkpoint of a demo expert from the parts that the tree holds.
 *
 * The parts file (tools/demo-experts/pack.py writes it) is a safetensors file of
 *   both/NAME, base/NAME, refiner/NAME   tensor NAME of both experts, or of one of them
 *   seeded/NAME   I64 [2], {seed, rows}: of the table NAME only the rows that captions use are kept
 *   rows          I64, which rows those are, ascending
 * so that what the experts share is stored once, and 49 thousand unused rows of a token table not
 * at all: they are a function of the seed.  The file made is byte for byte the one that the
 * safetensors library would write. */
#ifndef RF_ASSEMBLE_H
#define RF_ASSEMBLE_H

#include "kernels/status.h"

/* who: "base" or "refiner".  Atomic; replaces an existing file.  RF_E_FORMAT or RF_E_MODEL: not
 * such parts. */
rf_status rf_assemble(const char *out, const char *parts, const char *who, rf_error *err);

#endif
