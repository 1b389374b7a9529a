/* yaml_variable.h - letting ${NAME} stand without quotes in flow style. Used by yaml.c alone. */
#ifndef SPEC_YAML_VARIABLE_H
#define SPEC_YAML_VARIABLE_H
#include "base/arena.h"

/* The text with the braces of its variables hidden; of the same length; itself when it has none. */
const char *yaml_variables_hide(struct arena *a, const char *text, size_t n);
void yaml_variables_show(char *text, size_t n); /* in place */
#endif
