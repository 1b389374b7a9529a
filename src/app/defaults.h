/* defaults.h - what a loaded document gets that its writer left unsaid: models, keys, profiles. */
#ifndef APP_DEFAULTS_H
#define APP_DEFAULTS_H
#include "base/json.h"

/* `model` is used everywhere: "openai.gpt-4o", "openai/gpt-4o", "openai:gpt-4o", or a profile. */
struct err *MUST model_apply(json_t *doc, const char *model);
void keys_default(json_t *doc);    /* the usual variable, for profiles that name no key */
void profile_default(json_t *doc); /* a single profile is the default one */
struct spec;
/* Adds a warning for each key that is understood and has no effect in this version. */
void without_effect(struct spec *spec);

#endif
