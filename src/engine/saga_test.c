/* saga_test.c - runs that are undone by others than their end: cancelled while nobody has them, by
 * force, rolled back; interrupted while they are being undone. */
#include "engine/enginetest.h"
#include "engine/fork.h"
#include "engine/saga.h"
#include "engine/tell.h"
#include "rt/fiber.h"
#include "rt/rt.h"

/* The agent mail hangs, loses its answer or is done, as its message says. */
#define TRIPS                                                                                      \
    "{\"agents\":{\"say\":{\"type\":\"echo\"},\"mail\":{\"type\":\"once\"}},\"workflows\":{"       \
    "\"trip\":{\"nodes\":[{\"id\":\"room\",\"agent\":\"say\",\"input\":\"a room\","                \
    "\"compensate\":{\"input\":\"no {{ output }}\"}},"                                             \
    "{\"id\":\"pay\",\"agent\":\"mail\",\"input\":\"{{ input }}\",\"depends_on\":[\"room\"],"      \
    "\"compensate\":{\"agent\":\"mail\",\"input\":\"{{ inputs.back }}\"}}]},"                      \
    "\"half\":{\"nodes\":[{\"id\":\"room\",\"agent\":\"say\",\"compensate\":{\"input\":\"no\"}},"  \
    "{\"id\":\"look\",\"agent\":\"say\",\"depends_on\":[\"room\"]}]},"                             \
    "\"plain\":{\"nodes\":[{\"id\":\"room\",\"agent\":\"say\"}]}}}"

static struct run *
go(struct scene *s, const char *workflow, const char *input, const char *back)
{
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(json_freep) json_t *text = json_string(input);
    AUTO(json_freep) json_t *inputs = json_pack("{ss}", "back", back);
    struct flow *f = NULL;
    struct run *r = NULL;
    bool existing;
    struct err *e = json_parse(TRIPS, strlen(TRIPS), &doc);
    if (!e)
        e = engine_flow(s->e, &(struct flow_source){.doc = doc, .workflow = workflow}, &f);
    if (!e)
        e = engine_start(s->e, &(struct run_request){.flow = f, .input = text, .inputs = inputs},
                         &r, &existing);
    flow_unref(f);
    if (e)
        note(s, "start", e);
    return r;
}

static struct err *
list_one(void *ctx, const json_t *one)
{
    str_addf(ctx, "  %s %s: %s %s\n", json_str(one, "node", ""), json_str(one, "state", ""),
             json_str(one, "agent", ""), json_str(one, "input", "-"));
    return NULL;
}

static void
list(struct scene *s, const char *id)
{
    AUTO(str_fini) struct str all = STR_INIT;
    note(s, "to undo", engine_undo_list(s->e, id, list_one, &all));
    str_addf(&s->out, "%s", str_c(&all));
}

static void
resumed(struct scene *s, const char *id, const char *in_doubt)
{
    struct run *r = NULL;
    struct err *e = engine_resume(s->e, id, in_doubt, &r);
    if (e)
        note(s, "resume", e);
    else
        finish(s, r);
}

static void
rolled_back(struct scene *s, const char *id)
{
    struct run *r = NULL;
    struct err *e = engine_rollback(s->e, id, &r);
    if (e)
        note(s, "rollback", e);
    else
        finish(s, r);
}

static void
answered(struct scene *s, const char *id, const char *path, const char *answer)
{
    AUTO(json_freep) json_t *value = json_string(answer);
    AUTO(json_freep) json_t *question = NULL;
    struct answer a = {.run = id, .path = path, .value = value};
    note(s, "answer", engine_answer(s->e, &a, &question));
}

/* ---- rolling back ---------------------------------------------------------- */

static void
roll_back(struct scene *s)
{
    struct run *r = go(s, "trip", "all", "all");
    note(s, "soon", engine_rollback(s->e, run_id(r), &(struct run *){NULL}));
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    list(s, run_id(r));
    rolled_back(s, run_id(r));
    list(s, run_id(r));
    rolled_back(s, run_id(r));
    run_unref(r);
    r = go(s, "plain", "x", "");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    rolled_back(s, run_id(r));
    run_unref(r);
    rolled_back(s, "nowhere");
    list(s, "nowhere");
}

/* It stops where it is and goes on from there, asked for by either name. */
static void
roll_back_halfway(struct scene *s)
{
    struct run *r = go(s, "trip", "all", "hang"), *back = NULL;
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "rollback", engine_rollback(s->e, run_id(r), &back));
    note(s, "soon", run_wait(back, rt_after(100)));
    note(s, "again", engine_rollback(s->e, run_id(r), &(struct run *){NULL}));
    note(s, "cancel", engine_cancel_stored(s->e, run_id(r), false));
    note(s, "later", run_wait(back, rt_after(1000))); /* which does not end it */
    run_interrupt(back);
    finish(s, back);
    rolled_back(s, run_id(r));
    resumed(s, run_id(r), "pay/undo[1]=done");
    run_unref(r);
}

static void
fork_then_roll_back(struct scene *s, const char *workflow, const char *from)
{
    struct run *r = go(s, workflow, "all", "all");
    char id[RUN_ID_LEN] = "";
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "fork", engine_fork(s->e, &(struct fork_request){.run = run_id(r), .from = from}, id));
    resumed(s, id, NULL);
    list(s, id);
    rolled_back(s, id);
    list(s, run_id(r));
    run_unref(r);
}

/* What the origin did is the origin's to undo. */
static void
roll_back_fork(struct scene *s)
{
    fork_then_roll_back(s, "trip", "pay");
    fork_then_roll_back(s, "half", "look");
}

static void
rolling_back(void **state)
{
    (void)state;
    scene(roll_back,
          "soon: the run '' has not ended: cancel it, that undoes what it has done\n"
          "wait: ok\n"
          "to undo: ok\n"
          "  pay ready: mail all\n"
          "  room ready: say no a room\n"
          "wait: ok\n"
          "compensated done ! -\n"
          "  room completed a room ! -\n"
          "  pay completed done ! -\n"
          "  pay/undo[1] completed done ! -\n"
          "  room/undo[1] completed no a room ! -\n"
          "to undo: ok\n"
          "rollback: the run '' is undone already\n"
          "wait: ok\n"
          "rollback: there is nothing to undo in the run '': no node of it has `compensate`\n"
          "rollback: there is no run 'nowhere'\n"
          "to undo: there is no run 'nowhere'\n");
    scene(
        roll_back_halfway,
        "wait: ok\n"
        "rollback: ok\n"
        "soon: timed out\n"
        "again: run '' is being run by process ''\n"
        "cancel: ok\n"
        "later: timed out\n"
        "wait: ok\n"
        "running done ! -\n"
        "  room completed a room ! -\n"
        "  pay completed done ! -\n"
        "  pay/undo[1] running - ! -\n"
        "wait: ok\n"
        "waiting done ! in doubt: 'mail' at pay/undo[1]/send was under way when the process ended, "
        "and may have been carried out; look, then resume with --in-doubt done, retry or fail\n"
        "  room completed a room ! -\n"
        "  pay completed done ! -\n"
        "  pay/undo[1] running - ! -\n"
        "wait: ok\n"
        "compensated done ! -\n"
        "  room completed a room ! -\n"
        "  pay completed done ! -\n"
        "  pay/undo[1] completed  ! -\n"
        "  room/undo[1] completed no a room ! -\n");
}

/* ---- ended by others ------------------------------------------------------- */

static void
cancel_parked(struct scene *s)
{
    struct run *r = go(s, "trip", "lost", "all");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    show(s, run_id(r));
    note(s, "cancel", engine_cancel_stored(s->e, run_id(r), false));
    show(s, run_id(r)); /* nothing has happened yet */
    resumed(s, run_id(r), NULL);
    answered(s, run_id(r), "pay/undo[0]", "perhaps");
    answered(s, run_id(r), "pay", "not_done");
    resumed(s, run_id(r), NULL);
    note(s, "cancel", engine_cancel_stored(s->e, run_id(r), false));
    run_unref(r);
}

/* By force it ends as it is; what it has done can be undone later. */
static void
cancel_by_force(struct scene *s)
{
    struct run *r = go(s, "trip", "lost", "all");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "cancel", engine_cancel_stored(s->e, run_id(r), true));
    show(s, run_id(r));
    rolled_back(s, run_id(r));
    answered(s, run_id(r), "pay", "undo");
    rolled_back(s, run_id(r));
    run_unref(r);
}

static void
rolling_back_forks(void **state)
{
    (void)state;
    scene(roll_back_fork, "wait: ok\n"
                          "fork: ok\n"
                          "wait: ok\n"
                          "completed done ! -\n"
                          "  room completed a room ! -\n"
                          "  pay completed done ! -\n"
                          "to undo: ok\n"
                          "  pay ready: mail all\n"
                          "wait: ok\n"
                          "compensated done ! -\n"
                          "  room completed a room ! -\n"
                          "  pay completed done ! -\n"
                          "  pay/undo[1] completed done ! -\n"
                          "to undo: ok\n"
                          "  pay ready: mail all\n"
                          "  room ready: say no a room\n"
                          "wait: ok\n"
                          "fork: ok\n"
                          "wait: ok\n"
                          "completed all ! -\n"
                          "  room completed all ! -\n"
                          "  look completed all ! -\n"
                          "to undo: ok\n"
                          "rollback: there is nothing to undo in the run '': what it took over of "
                          "'' is undone there\n"
                          "to undo: ok\n"
                          "  room ready: say no\n");
}

static void
ended_by_others(void **state)
{
    (void)state;
    scene(cancel_parked,
          "wait: ok\n"
          "waiting - ! in doubt: 'mail' at pay/send may have been carried out (the line went "
          "dead); look, then resume with --in-doubt done, retry or fail\n"
          "  room completed a room ! -\n"
          "  pay running - ! -\n"
          "cancel: ok\n"
          "waiting - ! in doubt: 'mail' at pay/send may have been carried out (the line went "
          "dead); look, then resume with --in-doubt done, retry or fail\n"
          "  room completed a room ! -\n"
          "  pay running - ! -\n"
          "wait: ok\n"
          "waiting - ! 'pay/undo[0]' waits for an answer: 'pay' was cut off, and may have been "
          "carried out. Look: was it (undo), was it not (not_done), or leave it (give_up)?\n"
          "  room completed a room ! -\n"
          "  pay waiting - ! -\n"
          "answer: 'pay/undo[0]': 'perhaps' is none of 'undo', 'not_done', 'give_up'\n"
          "answer: ok\n"
          "wait: ok\n"
          "compensated - ! -\n"
          "  room completed a room ! -\n"
          "  pay cancelled - ! the run ended while 'mail' was in doubt: it may have been carried "
          "out\n"
          "  room/undo[1] completed no a room ! -\n"
          "cancel: run '' has ended\n");
    scene(cancel_by_force,
          "wait: ok\n"
          "cancel: ok\n"
          "cancelled - ! -\n"
          "  room completed a room ! -\n"
          "  pay cancelled - ! the run ended while 'mail' was in doubt: it may have been carried "
          "out\n"
          "wait: ok\n"
          "waiting - ! 'pay/undo[0]' waits for an answer: 'pay' was cut off, and may have been "
          "carried out. Look: was it (undo), was it not (not_done), or leave it (give_up)?\n"
          "  room completed a room ! -\n"
          "  pay waiting - ! -\n"
          "answer: ok\n"
          "wait: ok\n"
          "compensated - ! -\n"
          "  room completed a room ! -\n"
          "  pay cancelled - ! the run ended while 'mail' was in doubt: it may have been carried "
          "out\n"
          "  pay/undo[1] completed done ! -\n"
          "  room/undo[1] completed no a room ! -\n");
}

TESTS(saga_test, cmocka_unit_test(rolling_back), cmocka_unit_test(rolling_back_forks),
      cmocka_unit_test(ended_by_others))
