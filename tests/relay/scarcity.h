/* What a program asks of the system, counted, and refused at the n-th time: memory, mappings,
 * reads, files, threads.  The linker sends the calls of everything it links statically through
 * here (--wrap), so the engine's are seen and those of shared libraries are not.
 *
 * Only the calling thread's calls count: hashing in the background does what it does. */
#ifndef RF_TEST_SCARCITY_H
#define RF_TEST_SCARCITY_H

typedef enum scarce {
    SCARCE_NOTHING = 0,
    SCARCE_MEMORY,  /* malloc, calloc, realloc, strdup, strndup; mmap counts as well */
    SCARCE_READING, /* open, fstat, pread */
    SCARCE_THREADS, /* pthread_create */
} scarce;

/* The n-th call of kind `what` from now on (n = 0: the next) is refused, no other. */
void scarcity_begin(scarce what, long n);
/* Ends it; returns 1 if a call was refused. */
int scarcity_end(void);

/* Successful calls of this thread so far. */
long scarcity_allocations(void);

/* Blocks of all threads that are not freed yet, and mappings. */
long scarcity_live(void);

#endif
