/* Runs the refinery command as a user would, and keeps what it said. */
#ifndef RF_TEST_SPAWN_H
#define RF_TEST_SPAWN_H

#include <sys/types.h>

enum { RF_SPAWN_TEXT = 1 << 16 };

typedef struct rf_spawned {
    int  code; /* exit code; 1000 + signal if a signal killed it */
    char out[RF_SPAWN_TEXT], err[RF_SPAWN_TEXT];
} rf_spawned;

/* Makes an empty folder, and goes there; it is gone at the end of the test program. */
void rf_spawn_enter_folder(void);
void rf_spawn_leave_folder(void);

/* Writes a file of that text. */
void rf_spawn_write(const char *path, const char *text);

/* pony.safetensors and anime.safetensors, as the fake engine knows them; and the beginning of a
 * command that renders with both. */
void rf_spawn_write_experts(void);
#define RF_SPAWN_BOTH "render -m pony.safetensors -r anime.safetensors --size 64x64 -q "

/* Runs `command` (the words after "refinery", as a shell reads them) to its end.  "" > file, < file
 * and the like work: the shell does the rest. */
void rf_spawn(rf_spawned *result, const char *command);

/* The same; fails the test unless it exits with `code` and its messages have `said` in them. */
void rf_spawn_expect(rf_spawned *result, const char *command, int code, const char *said);

/* Starts it directly, without a shell, so that signals reach it; `words` ends with NULL.  Output
 * goes to the files "out" and "err". */
pid_t rf_spawn_start(char *const *words);
void  rf_spawn_wait(rf_spawned *result, pid_t pid); /* and reads the files */

/* Waits until the file `path` holds `text`, at most 10 s; 1 if it does. */
int rf_spawn_await(const char *path, const char *text);

int rf_spawn_exists(const char *path);

#endif
