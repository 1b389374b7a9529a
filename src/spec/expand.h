/* expand.h - finding ${NAME} in a text; for this folder. spec_expand itself is in spec.h. */
#ifndef SPEC_EXPAND_H
#define SPEC_EXPAND_H
#include "spec/spec.h"

#define EXPAND_NAME_MAX    255
#define EXPAND_DEFAULT_MAX 4096 /* a '}' further away belongs to something else */
extern const char expand_bad[]; /* what to tell of a "${" that is no reference */

struct expand_ref {
    size_t at, end;   /* bytes of the text */
    bool escaped;     /* $${ */
    bool bad;         /* "${" that is no reference; end is just behind it */
    const char *name; /* in the text */
    size_t name_len;
    const char *otherwise; /* the default, or NULL */
    size_t otherwise_len;
};
/* The next one from byte *i on; moves *i behind it. */
bool expand_next(const char *text, size_t *i, struct expand_ref *ret);
bool expand_has(const char *text);
#endif
