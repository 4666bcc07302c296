/* What a file is called, for people. */
#ifndef RF_FILE_STEM_H
#define RF_FILE_STEM_H

/* The last part of a path, without ".safetensors" and the like (of a folder all of it; of
 * diffusion_pytorch_model, which says nothing, the folder's), as text that can be shown; free() it.
 * NULL without memory. */
char *rf_file_stem(const char *path);

#endif
