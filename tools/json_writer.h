/* JSON written as it goes: for answers that are large, or whose numbers must read back exactly.
 * Every real is the shortest decimal that gives the same number again (1.1, not
 * 1.1000000000000001), and always looks like one: 1.0.  What is not finite is null. */
#ifndef RF_JSON_WRITER_H
#define RF_JSON_WRITER_H

#include <stdint.h>
#include <stdio.h>

typedef struct rf_json_writer {
    FILE *out;
    int   depth;
    int   begun[16]; /* by depth: something stands there, so a comma comes first */
} rf_json_writer;

/* `key` is NULL inside an array, and for the outermost value. */
void rf_json_open(rf_json_writer *w, const char *key, char bracket);      /* '{' or '[' */
void rf_json_close(rf_json_writer *w, char bracket);                      /* '}' or ']' */
void rf_json_put_text(rf_json_writer *w, const char *key, const char *s); /* null for NULL */
void rf_json_put_real(rf_json_writer *w, const char *key, double v);
void rf_json_put_float(rf_json_writer *w, const char *key, float v); /* exact as a float */
void rf_json_put_int(rf_json_writer *w, const char *key, int64_t v);
void rf_json_put_bool(rf_json_writer *w, const char *key, int v);
void rf_json_put_raw(rf_json_writer *w, const char *key, const char *json); /* JSON as it is */
void rf_json_put_null(rf_json_writer *w, const char *key);

enum { RF_REAL_BYTES = 40 };

/* The shortest decimal of `v`, for people and JSON alike; returns out. */
char *rf_real_text(char out[RF_REAL_BYTES], double v);

#endif
