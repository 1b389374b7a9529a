/* inputs.h - what is given to a run on the command line. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H
#include "base/json.h"

struct inputs {
    json_t *keys;    /* from -i key=value */
    struct str text; /* from -i text, -i @file and stdin */
    struct err *e;   /* the first that went wrong */
};
/* For an option's `each`: key=value, key=@file, @file or text; a value that is JSON is taken as
 * JSON. */
void inputs_add(void *ctx, const char *value);
struct err *MUST inputs_file(const char *path, struct str *to); /* "-": stdin */

#endif
