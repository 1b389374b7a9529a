/* places.h - making and freeing the notes behind spec_pos; for this folder. */
#ifndef SPEC_PLACES_H
#define SPEC_PLACES_H
#include "spec/check.h"

struct spec_places *OWN places_new(void);
json_t *pointer_get(json_t *doc, const char *pointer); /* borrowed; NULL: not there */
void places_free(struct spec_places *OWN p);           /* accepts NULL */
#endif
