/* tell.h - what people and others tell a run, wherever it is: answers to its questions, signals.
 *
 * Each is stored when the call returns, also while nobody has the run; a run that waits in this or
 * another process finds it within a moment, one that was put away when it is resumed. */
#ifndef ENGINE_TELL_H
#define ENGINE_TELL_H
#include "engine/engine.h"

/* The open questions of a run: a list of {run, workflow, path, type, prompt, choices, schema, to,
 * at, until, token}. ERR_MISSING: no such run. */
struct err *MUST engine_questions(struct engine *e, const char *run, json_t **OWN ret_list) YIELDS;

struct answer {
    const char *run;     /* its id, the beginning of it, or its name; not needed with a token */
    const char *path;    /* of the question, or of the node that asks; NULL: there is only one */
    const char *token;   /* instead of both; or NULL */
    const json_t *value; /* has to fit the question's choices or schema */
    const char *by;      /* who; NULL: "person" */
};
/* The first answer counts. ERR_INVALID: it does not fit, or nothing (else) is asked; ERR_DENIED:
 * the token is none. */
struct err *MUST engine_answer(struct engine *e, const struct answer *a,
                               json_t **OWN ret_question) YIELDS;

/* Whoever has the token of a question may answer it, once: it is signed with the store's own key.
 */
#define ENGINE_TOKEN_LEN (RUN_ID_LEN + 33)
void engine_token(const struct engine *e, const char *run, const char *path,
                  char ret_token[ENGINE_TOKEN_LEN]);

struct signal {
    const char *run, *name;
    const json_t *value; /* or NULL */
    const char *dedupe;  /* the same name and this: the same signal; NULL: a new one */
    const char *by;      /* or NULL */
};
/* Kept until the run waits for one of that name: the first of them is its value, once. */
struct err *MUST engine_signal(struct engine *e, const struct signal *s, bool *ret_new) YIELDS;

/* The next input of a session that waits for one. ERR_INVALID: it does not fit, the run has ended,
 * or is no session. *ret_busy: it works on what it was told before, and this is its answer; else
 * NULL, and the input is stored. */
struct err *MUST engine_send(struct engine *e, const char *run, const char *text,
                             char **OWN ret_busy) YIELDS;

#endif
