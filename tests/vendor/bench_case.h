/* For tests of the benches on a GPU: refinery-bench on the emulated one, and files. */
#ifndef RF_BENCH_CASE_H
#define RF_BENCH_CASE_H

/* refinery-bench with these arguments, NULL after the last; its exit code.  Nothing may be left on
 * the GPU. */
int bench_case(const char *const *arguments);
#define BENCH(...) bench_case((const char *const[]){__VA_ARGS__, NULL})

/* A new file's name, good until the next call; and the text of a file, freed by the
 * caller; the file is deleted. */
const char *bench_file(void);
char       *bench_text(const char *name);

#endif
