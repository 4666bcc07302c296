/* Scenes, prompts and grades; see scene.h. */
#include "tools/judge/scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/judge/judge.h"

const char *const rf_kinds[RF_KINDS] = {"cat", "rabbit", "bird", "octopus", "turtle"};
const char *const rf_colours[RF_COLOURS] = {"red", "yellow", "green", "blue", "purple", "white"};
const char *const rf_accessories[RF_ACCESSORIES] = {"none", "hat", "scarf", "balloon"};
const char *const rf_places[RF_PLACES + 1] = {"left", "centre", "right", "two"};
const char *const rf_backgrounds[RF_BACKGROUNDS] = {"meadow", "night", "sea", "room"};
const char *const rf_attributes[RF_ATTRIBUTES] = {"creature", "colour",     "place",
                                                  "count",    "background", "accessory"};

/* ---- prompts ------------------------------------------------------------------------------ */

static int find(const char *word, const char *const *names, int count)
{
    int i = 0;
    while (i < count && strcmp(word, names[i]) != 0) i++;
    return i < count ? i : -1;
}

/* One line without its end; 0 if it is none of ours. */
static int parse(rf_asked *out, const char *line)
{
    char        word[5][16];
    int         used = 0;
    rf_scene   *s = &out->scene;
    const char *tab = strchr(line, '\t');
    if (!tab || sscanf(line, "%15s %15s %15s %15s %15s%n", word[0], word[1], word[2], word[3],
                       word[4], &used) != 5)
        return 0;
    if (line + used != tab || !tab[1]) return 0;
    s->kind = find(word[0], rf_kinds, RF_KINDS);
    s->colour = find(word[1], rf_colours, RF_COLOURS);
    s->accessory = find(word[2], rf_accessories, RF_ACCESSORIES);
    s->place = find(word[3], rf_places, RF_PLACES + 1);
    s->background = find(word[4], rf_backgrounds, RF_BACKGROUNDS);
    if (s->kind < 0 || s->colour < 0 || s->accessory < 0 || s->place < 0 || s->background < 0)
        return 0;
    out->prompt = strdup(tab + 1);
    return 1;
}

static rf_status append(rf_asked **list, size_t *count, const char *line, const char *path,
                        int number, rf_error *err)
{
    if ((*count & (*count - 1)) == 0) { /* full at every power of two */
        rf_asked *more = realloc(*list, (*count ? 2 * *count : 1) * sizeof **list);
        if (!more) return rf_fail(err, RF_E_NOMEM, "%s: no memory to read it", path);
        *list = more;
    }
    rf_asked *next = *list + *count;
    if (!parse(next, line))
        return rf_fail(err, RF_E_FORMAT,
                       "%s:%d: expected \"kind colour accessory place background<TAB>prompt\"",
                       path, number);
    if (!next->prompt) return rf_fail(err, RF_E_NOMEM, "%s: no memory to read it", path);
    ++*count;
    return RF_OK;
}

rf_status rf_asked_read(rf_asked **out, size_t *count, const char *path, rf_error *err)
{
    rf_status st = RF_OK;
    char      line[512];
    rf_asked *list = NULL;
    size_t    found = 0;
    FILE     *file = fopen(path, "r");
    *out = NULL, *count = 0;
    if (!file)
        return rf_fail(err, errno == ENOENT ? RF_E_NOT_FOUND : RF_E_IO, "%s: %s", path,
                       strerror(errno));
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0] && line[0] != '#') RF_TRY(append(&list, &found, line, path, number, err));
    }
    if (ferror(file))
        st = rf_fail(err, RF_E_IO, "%s: reading failed", path);
    else if (!found)
        st = rf_fail(err, RF_E_FORMAT, "%s: no prompts in it", path);
    if (st != RF_OK) goto done;
    *out = list, *count = found;
    list = NULL;
done:
    fclose(file);
    rf_asked_free(list, found);
    return st;
}

void rf_asked_free(rf_asked *asked, size_t count)
{
    for (size_t i = 0; asked && i < count; i++) free(asked[i].prompt);
    free(asked);
}

/* ---- grades ------------------------------------------------------------------------------- */

void rf_scene_grade(int right[RF_ATTRIBUTES], const rf_scene *scene,
                    const struct rf_reading *reading)
{
    int there = 0, kinds = 0, colours = 0, accessories = 0, likeliest = 0;
    for (int i = 0; i < RF_PLACES; i++) {
        const struct rf_place_reading *p = &reading->place[i];
        if (p->there > reading->place[likeliest].there) likeliest = i;
        if (p->there < 0.5) continue;
        there++;
        kinds += p->kind.what == scene->kind;
        colours += p->colour.what == scene->colour;
        accessories += p->accessory.what == scene->accessory;
    }
    right[RF_CREATURE] = there > 0 && kinds == there;
    right[RF_COLOUR] = there > 0 && colours == there;
    right[RF_PLACE] = scene->place == RF_TWO ? -1 : likeliest == scene->place;
    right[RF_COUNT] = there == (scene->place == RF_TWO ? 2 : 1);
    right[RF_BACKGROUND] = reading->background.what == scene->background;
    right[RF_ACCESSORY] = there > 0 && accessories == there;
}

double rf_content_score(const int right[RF_ATTRIBUTES])
{
    int asked = 0, good = 0;
    for (int i = RF_CREATURE; i <= RF_BACKGROUND; i++) {
        asked += right[i] >= 0;
        good += right[i] == 1;
    }
    return (double)good / asked; /* at least four are asked */
}
