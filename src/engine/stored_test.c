/* stored_test.c - what is told of runs from their journals alone: in numbers, as the flow they had,
 * and when a journal is damaged. */
#include "engine/enginetest.h"
#include "engine/journal/journal.h"
#include "engine/tell.h"
#include "plan/lower.h"
#include "rt/rt.h"

/* A line for each record, up to the one at which it has seen enough. */
struct lines {
    struct scene *s;
    int64_t enough;
};

static struct err *
line(void *ctx, const struct run_event *ev)
{
    const struct lines *l = ctx;
    AUTO(freep) char *type = json_text(json_object_get(ev->detail, "type"));
    str_addf(&l->s->out, "%lld %s '%s' type %s, output %d, status '%s', at %d\n",
             (long long)ev->seq, ev->name, ev->path, type,
             json_object_get(ev->detail, "output") != NULL, json_str(ev->detail, "status", ""),
             ev->wall_ms > 0);
    return ev->seq == l->enough ? FAIL(ERR_LIMIT, "enough") : NULL;
}

static void
numbers(struct scene *s)
{
    struct run *r = begin(s, "main", "hello");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "survey", engine_survey(s->e, run_id(r), line, &(struct lines){.s = s}));
    note(s, "survey", engine_survey(s->e, run_id(r), line, &(struct lines){s, 2}));
    note(s, "survey", engine_survey(s->e, "nowhere", line, &(struct lines){.s = s}));
    run_unref(r);
}

/* Outputs are left out; who has seen enough ends it. */
static void
survey(void **state)
{
    (void)state;
    scene(numbers, "wait: ok\n"
                   "1 run.started '' type null, output 0, status '', at 1\n"
                   "2 node.started 'say' type \"task\", output 0, status 'running', at 1\n"
                   "3 node.completed 'say' type \"task\", output 0, status 'completed', at 0\n"
                   "4 node.started 'say-2' type \"task\", output 0, status 'running', at 1\n"
                   "5 node.completed 'say-2' type \"task\", output 0, status 'completed', at 0\n"
                   "6 run.completed '' type null, output 0, status 'completed', at 1\n"
                   "survey: ok\n"
                   "1 run.started '' type null, output 0, status '', at 1\n"
                   "2 node.started 'say' type \"task\", output 0, status 'running', at 1\n"
                   "survey: enough\n"
                   "survey: there is no run 'nowhere'\n");
}

static void
flows(struct scene *s)
{
    struct flow *f = NULL;
    struct run *r = begin(s, "send", "x");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "flow", engine_stored_flow(s->e, run_id(r), &f));
    if (f)
        str_addf(&s->out, "of %s\n", plan_workflow(flow_plan(f)));
    flow_unref(f);
    note(s, "flow", engine_stored_flow(s->e, "nowhere", &f));
    run_unref(r);
}

static void
stored_flow(void **state)
{
    (void)state;
    scene(flows, "wait: ok\nflow: ok\nof send\nflow: there is no run 'nowhere'\n");
}

/* Of a run that nobody has: its start, and a record that is not what it should be. */
static struct err *
damaged_run(struct scene *s, int kind, const char *body, char ret_id[RUN_ID_LEN])
{
    static const char first[] = "1{\"def\":\"d\",\"at\":1}";
    const unsigned char chance[10] = {0};
    const struct store_record recs[] = {
        {.kind = REC_RUN_STARTED, .path = "", .body = first, .body_len = sizeof first - 1},
        {.kind = kind, .path = "a", .body = body, .body_len = strlen(body)}};
    const struct store_new_run run = {.id = ret_id,
                                      .def_hash = "d",
                                      .name = "main",
                                      .records = recs,
                                      .nrecords = COUNT(recs),
                                      .status = RUN_RUNNING};
    struct store_lease lease;
    bool existing;
    store_make_id(1790000000000, chance, ret_id);
    PASS(store_create(s->store, &run, &lease, &existing));
    return store_release(s->store, &lease, 0);
}

static struct err *
count(void *ctx, const struct run_event *ev)
{
    heard(ctx, ev);
    return NULL;
}

static void
cancel_it(struct scene *s, const char *id, bool force)
{
    struct store_run found = {0};
    note(s, force ? "by force" : "cancel", engine_cancel_stored(s->e, id, force));
    note(s, "found", engine_find_run(s->e, id, &found));
    str_addf(&s->out, "cancelled: %d\n", found.status == RUN_CANCELLED);
    store_run_fini(&found);
}

static void
damaged(struct scene *s, int kind, const char *body)
{
    unsigned told = 0;
    struct flow *f = NULL;
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(json_freep) json_t *list = NULL;
    AUTO(freep) char *busy = NULL;
    char id[RUN_ID_LEN];
    note(s, "create", damaged_run(s, kind, body, id));
    note(s, "survey", engine_survey(s->e, id, count, &told));
    note(s, "history", engine_history(s->e, id, count, &told));
    str_addf(&s->out, "told: %u\n", told);
    note(s, "document", engine_document(s->e, id, &doc));
    note(s, "questions", engine_questions(s->e, id, &list));
    note(s, "send", engine_send(s->e, id, "hello", &busy));
    note(s, "flow", engine_stored_flow(s->e, id, &f));
    cancel_it(s, id, false);
    cancel_it(s, id, true);
}

static void
damaged_node(struct scene *s)
{
    damaged(s, REC_NODE_STARTED, "1{\"type\":");
}

static void
damaged_undo(struct scene *s)
{
    damaged(s, REC_UNDO, "7{}");
}

static void
damaged_wait(struct scene *s)
{
    damaged(s, REC_WAIT_OPEN, "1{\"type\":");
}

/* The record is named. What cannot be read may be to be undone: then it ends only by force. */
static void
damaged_journal(void **state)
{
    (void)state;
    scene(damaged_node, "create: ok\n"
                        "survey: record 2: a journal record: not JSON: unexpected token near end "
                        "of file at line 1, column 8\n"
                        "history: record 2: a journal record: not JSON: unexpected token near end "
                        "of file at line 1, column 8\n"
                        "told: 2\n"
                        "document: a journal record: not JSON: unexpected token near end of file "
                        "at line 1, column 8\n"
                        "questions: ok\n"
                        "send: the run '' is no session: nothing in it waits for an input\n"
                        "flow: its definition: there is no definition 'd'\n"
                        "cancel: ok\n"
                        "found: ok\n"
                        "cancelled: 1\n"
                        "by force: ok\n"
                        "found: ok\n"
                        "cancelled: 1\n");
    scene(
        damaged_undo,
        "create: ok\n"
        "survey: record 2: a journal record of an unknown format (written by a newer version?)\n"
        "history: record 2: a journal record of an unknown format (written by a newer version?)\n"
        "told: 2\n"
        "document: record 2: a journal record of an unknown format (written by a newer version?)\n"
        "questions: record 2: a journal record of an unknown format (written by a newer version?)\n"
        "send: record 2: a journal record of an unknown format (written by a newer version?)\n"
        "flow: its definition: there is no definition 'd'\n"
        "cancel: record 2: a journal record of an unknown format (written by a newer version?)\n"
        "found: ok\n"
        "cancelled: 0\n"
        "by force: ok\n"
        "found: ok\n"
        "cancelled: 1\n");
    scene(
        damaged_wait,
        "create: ok\n"
        "survey: record 2: a journal record: not JSON: unexpected token near end "
        "of file at line 1, column 8\n"
        "history: record 2: a journal record: not JSON: unexpected token near end "
        "of file at line 1, column 8\n"
        "told: 2\n"
        "document: ok\n"
        "questions: a journal record: not JSON: unexpected token near end of file "
        "at line 1, column 8\n"
        "send: a journal record: not JSON: unexpected token near end of file at line 1, column 8\n"
        "flow: its definition: there is no definition 'd'\n"
        "cancel: ok\n"
        "found: ok\n"
        "cancelled: 1\n"
        "by force: ok\n"
        "found: ok\n"
        "cancelled: 1\n");
}

TESTS(stored_test, cmocka_unit_test(survey), cmocka_unit_test(stored_flow),
      cmocka_unit_test(damaged_journal))
