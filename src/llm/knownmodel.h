/* knownmodel.h - what is known of models by their names, for people who choose: from the providers'
 * own pages. A model that is not in the table is unknown, not assumed; nothing rests on this. */
#ifndef LLM_KNOWNMODEL_H
#define LLM_KNOWNMODEL_H
#include "base/lang.h"

struct known_model {
    const char *model; /* a pattern of names */
    int context;       /* tokens of a conversation */
    int reply;         /* tokens of a reply at most */
    bool multimodal;   /* it takes pictures */
};
/* NULL: not known. */
const struct known_model *known_model_find(const char *model);
#endif
