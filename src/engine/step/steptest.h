/* steptest.h - for tests of steps: agents "x" with a workflow "a x" each, in a document of their
 * own. */
#ifndef ENGINE_STEP_STEPTEST_H
#define ENGINE_STEP_STEPTEST_H
#include "engine/enginetest.h"

/* Starts the workflow of an agent; quoted: the document, with single quotes for double ones. */
static inline struct err *MUST
start_quoted(struct engine *e, const char *quoted, const char *agent, const char *input,
             struct run **OWN ret_run)
{
    AUTO(freep) char *workflow = xasprintf("a %s", agent);
    AUTO(freep) char *text = xstrdup(quoted);
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(json_freep) json_t *value = json_string(input);
    struct flow *f = NULL;
    bool existing;
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    PASS(json_parse(text, strlen(text), &doc));
    PASS(engine_flow(e, &(struct flow_source){.doc = doc, .workflow = workflow}, &f));
    struct err *err =
        engine_start(e, &(struct run_request){.flow = f, .input = value}, ret_run, &existing);
    flow_unref(f);
    return err;
}

#endif
