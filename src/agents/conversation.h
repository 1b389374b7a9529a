/* conversation.h - an llm agent at work; for llmagent.c and firstwords.c. */
#ifndef AGENTS_CONVERSATION_H
#define AGENTS_CONVERSATION_H
#include "agents/circles.h"
#include "agents/toolbox.h"
#include "llm/llm.h"

struct conversation {
    struct host *host;
    const struct task *task;
    struct llm *llm;
    json_t *def; /* ${} resolved */
    json_t *messages;
    json_t *said; /* to it, as it will remember it; NULL: it has no history */
    struct toolbox tools;
    const json_t *output_schema;
    struct loopguard circles;
    unsigned turn, repairs, repairs_max;
    json_t *profile_def; /* of the call under way, resolved */
    const char *profile_name;
    bool streaming;
    size_t nth,
        fallbacks; /* of the profile under way, 0 the agent's own; how many come after that */
};

/* firstwords.c: instruction, history and message; and one more exchange for the history. */
struct err *MUST conversation_begin(struct conversation *c) YIELDS;
struct err *MUST conversation_end(struct conversation *c, const struct reply *reply) YIELDS;

#endif
