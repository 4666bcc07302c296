/* For tests: a checkpoint with two more tensors, as people mark what it predicts. */
#ifndef RF_TEST_MARKED_H
#define RF_TEST_MARKED_H

/* A copy of the checkpoint at `path`, in the same folder, with tensors of those names: scalars of
 * f32, or empty where `value` is NULL.  unlink() and free() what is returned. */
char *make_marked(const char *path, const char *name, const float *value, const char *other,
                  const float *other_value);

#endif
