/* Scenes of the demo's world, by name; prompts that ask for them; and whether a picture shows what
 * was asked.  The names and their order are those of tools/demo-experts/world.py. */
#ifndef RF_SCENE_H
#define RF_SCENE_H

#include <stddef.h>

#include "kernels/status.h"

enum {
    RF_SIDE = 128, /* of every picture, in pixels */
    RF_PLACES = 3,
    RF_KINDS = 5,
    RF_COLOURS = 6,
    RF_ACCESSORIES = 4,
    RF_BACKGROUNDS = 4,
    RF_TWO = RF_PLACES, /* in place of a place: two creatures, left and right */
};

extern const char *const rf_kinds[RF_KINDS];
extern const char *const rf_colours[RF_COLOURS];
extern const char *const rf_accessories[RF_ACCESSORIES]; /* "none" first */
extern const char *const rf_places[RF_PLACES + 1];       /* "two" last */
extern const char *const rf_backgrounds[RF_BACKGROUNDS];

typedef struct rf_scene {
    int kind, colour, accessory, place, background;
} rf_scene;

/* What a content score is made of, then the accessory, which is told apart. */
typedef enum rf_attribute {
    RF_CREATURE,
    RF_COLOUR,
    RF_PLACE, /* asked of one creature alone */
    RF_COUNT,
    RF_BACKGROUND,
    RF_ACCESSORY, /* prompts do not say that there is none */
    RF_ATTRIBUTES,
} rf_attribute;

extern const char *const rf_attributes[RF_ATTRIBUTES];

typedef struct rf_asked {
    rf_scene scene;
    char    *prompt; /* content tags */
} rf_asked;

/* Reads lines "kind colour accessory place background<TAB>prompt"; `#` begins a comment line.
 * rf_asked_free the list.  RF_E_FORMAT names the line. */
rf_status rf_asked_read(rf_asked **out, size_t *count, const char *path, rf_error *err);
void      rf_asked_free(rf_asked *asked, size_t count); /* NULL is fine */

struct rf_reading;

/* Whether each attribute is as in the scene: 1, 0, or -1 for the place of two creatures.
 *
 * A creature is where the judge gives at least one half to it.  Creature, colour and accessory (or
 * none) are right if somebody is there and everybody there is so; the place is right if it is the
 * likeliest to be taken; the count if as many places are taken. */
void rf_scene_grade(int right[RF_ATTRIBUTES], const rf_scene *scene,
                    const struct rf_reading *reading);

/* Share of the right ones among the asked ones of RF_CREATURE .. RF_BACKGROUND. */
double rf_content_score(const int right[RF_ATTRIBUTES]);

#endif
