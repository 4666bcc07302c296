/* A tiny autoencoder's file with weights that tools/golden/make_taesd.py makes as well. */
#ifndef RF_TEST_TAESD_FILE_H
#define RF_TEST_TAESD_FILE_H

typedef enum taesd_spelling {
    TAESD_ORIGINAL,    /* 1.weight */
    TAESD_DECODER,     /* decoder.1.weight */
    TAESD_BOTH_HALVES, /* taesd_decoder.1.weight, and an encoder */
    TAESD_DIFFUSERS,   /* decoder.layers.0.weight, and an encoder */
    TAESD_SPELLINGS,
} taesd_spelling;

/* Writes it, F32, into a fresh temporary folder; its path.  The folder goes with taesd_remove. */
char *taesd_write(int width, taesd_spelling spelling);
void  taesd_remove(char *path); /* and frees it */

#endif
