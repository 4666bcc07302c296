/* A diffusers folder made of a single-file checkpoint, for tests. */
#ifndef RF_FOLDER_FIXTURE_H
#define RF_FOLDER_FIXTURE_H

/* Writes the checkpoint of architecture `arch` ("tiny" or "tiny-refiner", in F32) at `checkpoint`
 * as a folder; the UNet in so many shards with an index, or in one file (1).  Fails the test on any
 * error. */
void folder_make(const char *folder, const char *checkpoint, const char *arch, int shards);

/* Removes a folder and what is in it. */
void folder_remove(const char *folder);

/* Writes a file of a folder: "unet/diffusion_pytorch_model.safetensors.index.json". */
void folder_write(const char *folder, const char *name, const void *data, unsigned long bytes);

#endif
