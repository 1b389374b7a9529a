/* flowfiles.h - the folder that a flow's run reads its files from and writes its results to. */
#ifndef FLOW_FLOWFILES_H
#define FLOW_FLOWFILES_H
#include "base/json.h"

/* A new folder with these files, {"name": "text"}; NULL when there are none. */
char *OWN flowfiles_make(const json_t *files);
/* The lines of a file, sorted: their order is not promised. "" when it is not there. */
char *OWN flowfiles_lines(const char *dir, const char *name);
/* The text with the folder's name shown as DIR. */
char *OWN flowfiles_shown(const char *dir, const char *OWN text);
void flowfiles_remove(char *OWN dir); /* accepts NULL */

#endif
