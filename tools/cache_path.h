/* Where files between runs are kept. */
#ifndef RF_CACHE_PATH_H
#define RF_CACHE_PATH_H

/* $XDG_CACHE_HOME/refinery/sha256, else ~/.cache/refinery/sha256, its folders made; to be freed.
 * NULL if there is no such place: everything works without a cache. */
char *rf_cache_path_sha256(void);

#endif
