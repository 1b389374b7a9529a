/* pattern.h - what a scripted reply looks for, and what it fills in.
 *
 * A pattern is text that has to occur, or "/regex/" ("/regex/i" ignoring case; PCRE2 within
 * limits). Filling in is plain substitution of {{name}}; unknown names stay as they are. */
#ifndef LLM_PATTERN_H
#define LLM_PATTERN_H
#include "base/json.h"

#define PATTERN_GROUPS_MAX 10

struct groups { /* what a regex caught; {{0}} is the whole match */
    char *text[PATTERN_GROUPS_MAX];
};
void groups_fini(struct groups *g);
/* ERR_INVALID for a regex that does not compile or takes too long. */
struct err *MUST pattern_match(const char *pattern, const char *text, struct groups *g,
                               bool *ret_matches);

struct fill { /* the names a template may use */
    const char *last, *message, *tool_result, *system;
    int64_t turn;
    const struct groups *groups;
};
void fill_text(struct str *to, const char *text, size_t n, const struct fill *f);
/* The same in every string of a value; keys stay. Depth is bounded by what JSON may have. */
json_t *OWN fill_json(const json_t *value, const struct fill *f);

#endif
