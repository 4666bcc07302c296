/* DejaVu Sans, as the build put it into the program (tools/embed.cmake), so that labels look the
 * same everywhere and no font need be installed.  Its licence (free to copy and embed; Bitstream
 * Vera's, and public domain) stands in the font's own name table, which is embedded with it. */
#ifndef RF_FONT_H
#define RF_FONT_H

#include <stddef.h>

extern const unsigned char rf_font[];
extern const size_t        rf_font_bytes;

#endif
