/* UTF-8 checks and prompt files; see text_input.h. */
#include "tools/text_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t rf_utf8_length(const char *s, size_t left)
{
    const unsigned char *p = (const unsigned char *)s;
    if (left == 0) return 0;
    if (p[0] < 0x80) return 1;
    const size_t need = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < need) return 0;
    /* The second byte's range excludes overlong forms, surrogates and what is past U+10FFFF. */
    const unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < need; i++)
        if (p[i] < 0x80 || p[i] > 0xBF) return 0;
    return need;
}

static rf_status check_text(const char *text, size_t len, const char *what, rf_trouble *trouble)
{
    if (len > RF_PROMPT_BYTES_MAX)
        return rf_fail(&trouble->error, RF_E_ARG, "%s: the text is %zu bytes, at most 1 MiB fits",
                       what, len);
    for (size_t i = 0; i < len;) {
        const size_t n = text[i] ? rf_utf8_length(text + i, len - i) : 0;
        if (!n)
            return rf_fail(&trouble->error, RF_E_ARG, "%s: byte %zu (0x%02X) is not UTF-8 text",
                           what, i + 1, (unsigned)(unsigned char)text[i]);
        i += n;
    }
    return RF_OK;
}

rf_status rf_text_check(const char *text, const char *flag, rf_trouble *trouble)
{
    return text ? check_text(text, strlen(text), flag, trouble) : RF_OK;
}

static rf_status open_prompt(FILE **out, const char *path, const char *flag, rf_trouble *trouble)
{
    *out = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (*out) return RF_OK;
    rf_status st = RF_E_IO;
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG || errno == ELOOP)
        st = RF_E_NOT_FOUND;
    if (errno == EACCES || errno == EPERM) st = RF_E_PERMISSION;
    return rf_fail(&trouble->error, st, "%s %s: %s", flag, path, strerror(errno));
}

/* Drops a byte order mark and final line breaks, turns CR LF into LF; returns the new length. */
static size_t tidy_lines(char *text, size_t len)
{
    const size_t skip = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    size_t       out = 0;
    for (size_t i = skip; i < len; i++)
        if (!(text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')) text[out++] = text[i];
    while (out > 0 && (text[out - 1] == '\n' || text[out - 1] == '\r')) out--;
    text[out] = '\0';
    return out;
}

rf_status rf_prompt_read(char **out, const char *path, const char *flag, int verbatim,
                         rf_trouble *trouble)
{
    rf_status    st = RF_OK;
    FILE        *file = NULL;
    char        *text = NULL;
    char         what[300];
    const size_t room = RF_PROMPT_BYTES_MAX + 8; /* a mark and line breaks may come on top */
    *out = NULL;

    snprintf(what, sizeof what, "%s %s", flag, path);
    RF_TRY(open_prompt(&file, path, flag, trouble));
    text = malloc(room + 1);
    if (!text) {
        st = rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a prompt of 1 MiB");
        goto done;
    }
    size_t len = fread(text, 1, room, file);
    if (ferror(file)) {
        st = rf_fail(&trouble->error, RF_E_IO, "%s: %s", what, strerror(errno));
        goto done;
    }
    text[len] = '\0';
    if (!verbatim) len = tidy_lines(text, len);
    RF_TRY(check_text(text, len, what, trouble));
    *out = text;
    text = NULL;
done:
    free(text);
    if (file && file != stdin) fclose(file);
    return st;
}
