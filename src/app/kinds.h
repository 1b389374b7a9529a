/* kinds.h - the tables of all kinds there are; a new one is a row in kinds.c. */
#ifndef APP_KINDS_H
#define APP_KINDS_H
#include "model/kind.h"

extern const struct kind *const app_agents[];    /* NULL-ended */
extern const struct kind *const app_workflows[]; /* of workflows and nodes; NULL-ended */

#endif
