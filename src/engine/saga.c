/* saga.c - what was done is noted so that it can be undone, and undone when it has to be. */
#include "engine/saga.h"
#include "engine/journal/undolog.h"
#include "engine/journal/viewstream.h"
#include "engine/message.h"
#include <stdlib.h>
#include <string.h>

#define YIELD_EVERY 8   /* undos that never wait, in a row */
#define PENDING_MAX 256 /* records that wait to be committed, before the next undo */

/* ---- the request: made when the node begins and when it has completed ------ */

struct making { /* Lua needs more stack than a fiber has */
    const struct node *undo;
    struct expr_scope scope, outer;
    const char *self; /* the id of the node itself, if its undo may mention it; or NULL */
    json_t *self_view, *request;
    struct err *e;
};

static json_t *
step_lookup(void *ctx, const char *id)
{
    const struct making *m = ctx;
    if (m->self && strcmp(m->self, id) == 0)
        return m->self_view;
    if (m->outer.step)
        return m->outer.step(m->outer.step_ctx, id);
    return json_object_get(m->outer.steps, id);
}

static struct err *
text_add(struct making *m, const char *key, const struct template *t)
{
    AUTO(json_freep) json_t *value = NULL;
    if (!t)
        return NULL;
    TRY(template_eval(t, &m->scope, &value), "its %s", key);
    AUTO(freep) char *text = json_as_text(value);
    json_object_set_new(m->request, key, json_string_lossy(text, strlen(text)));
    return NULL;
}

static struct err *
value_add(struct making *m, const char *key, const struct value_template *v)
{
    json_t *value = NULL;
    if (!v)
        return NULL;
    TRY(value_template_eval(v, &m->scope, &value), "its %s", key);
    json_object_set_new(m->request, key, value);
    return NULL;
}

static struct err *
templates_fill(struct making *m)
{
    PASS(text_add(m, "action", m->undo->action));
    PASS(text_add(m, "instruction", m->undo->instruction));
    PASS(value_add(m, "parameters", m->undo->parameters));
    return value_add(m, "input", m->undo->input);
}

static void
make_deep(void *arg)
{
    struct making *m = arg;
    m->e = templates_fill(m);
}

/* All that carrying it out takes. What cannot be filled in is told when it is needed. */
static json_t *
request_make(const struct work *w, json_t *output, json_t *self_view)
{
    static const char *const limits[] = {"retry", "timeout", "effect"};
    const struct node *undo = w->node->undo;
    struct making m = {.undo = undo, .outer = *w->outer, .self_view = self_view};
    m.self = json_object_size(w->node->def) ? w->node->id : NULL; /* members have none */
    m.scope = *w->outer;
    m.scope.output = output;
    m.scope.steps = NULL;
    m.scope.step = step_lookup;
    m.scope.step_ctx = &m;
    m.scope.now_wall_ms = rt_wall_ms();
    m.request = json_pack("{ss ss*}", "agent", undo->worker, "server_name", undo->server_name);
    for (size_t i = 0; i < COUNT(limits); i++) {
        json_t *limit = json_object_get(undo->def, limits[i]);
        if (limit)
            json_object_set(m.request, limits[i], limit);
    }
    rt_deep(make_deep, &m);
    if (m.e) {
        AUTO(freep) char *text = err_text(m.e);
        json_object_set_new(m.request, "error", json_string_lossy(text, strlen(text)));
        err_free(m.e);
    }
    return m.request;
}

/* What the node gave is the message of an undo that names none; of an item of a stream that has
 * ended nothing else is kept. */
static void
message_keep(const struct run *r, const struct work *w, const struct reply *reply, json_t *request)
{
    const struct viewstream *s = viewstreams_around(view_streams(r->view), w->path);
    if (!s || w->node->undo->input || !reply->output)
        return;
    json_object_set(request, "input", reply->output);
    if (reply->text && !json_is_string(reply->output))
        json_object_set_new(request, "text", json_string_lossy(reply->text, strlen(reply->text)));
}

/* An undo is not undone. */
static bool
can_be_undone(const struct work *w)
{
    return w->node && w->node->undo && !undo_part(w->path);
}

/* False: no record can hold it. */
static bool
note(struct run *r, const char *path, enum undo_state state, json_t *more)
{
    json_t *body = json_pack("{ss sI}", "state", undo_state_name(state), "at", rt_wall_ms());
    json_object_update(body, more);
    json_decref(more);
    return run_append(r, REC_UNDO, path, body, false);
}

/* What is too large to be kept can only be undone by hand. */
static void
request_note(struct run *r, const struct work *w, enum undo_state state, json_t *request)
{
    const bool tolerates = w->node->undo->tolerates_not_done;
    if (note(r, w->path, state,
             json_pack("{sb so}", "tolerates_not_done", tolerates, "request", request)))
        return;
    note(r, w->path, state,
         json_pack("{sb s{ss ss}}", "tolerates_not_done", tolerates, "request", "agent",
                   w->node->undo->worker, "error",
                   "what it needs to know is too large to be kept"));
}

void
saga_note_begun(struct run *r, const struct work *w)
{
    if (!can_be_undone(w))
        return;
    json_t *view = json_pack("{ss}", "status", node_status_name(NODE_RUNNING));
    json_t *request = request_make(w, NULL, view);
    json_decref(view);
    request_note(r, w, UNDO_BEGUN, request);
}

void
saga_note_ready(struct run *r, const struct work *w, const struct reply *reply)
{
    if (!can_be_undone(w))
        return;
    struct node_state state = {.status = NODE_COMPLETED, .reply = *reply};
    json_t *view = step_view(&state);
    json_t *request = request_make(w, reply->output, view);
    json_decref(view);
    message_keep(r, w, reply, request);
    request_note(r, w, UNDO_READY, request);
}

/* ---- one undo -------------------------------------------------------------- */

struct deed { /* what is being undone */
    struct undo_entry *x;
    json_t *request;
};

/* The entry is what it will be when the record is committed; settled, it is gone then. */
static void
move(struct run *r, struct undo_entry *x, enum undo_state state, const char *error)
{
    x->state = state;
    if (error) {
        free(x->error);
        x->error = xstrdup(error);
    }
    json_t *text = error ? json_string_lossy(error, strlen(error)) : NULL;
    (void)note(r, x->path, state,
               json_pack("{si sI so*}", "try", (int)x->tries, "of", x->seq, "error", text));
}

/* At the place of the try that it is about, 0 before the first. */
static struct err *
ask(struct run *r, const struct undo_entry *x, json_t *OWN question, json_t **ret_answer)
{
    AUTO(json_freep) json_t *detail = question;
    AUTO(freep) char *path = xasprintf("%s/undo[%u]", x->path, x->tries);
    struct pause p = {.type = PAUSE_HUMAN, .for_ms = -1, .detail = detail};
    return pause_wait(r, path, &p, ret_answer);
}

/* Sending it again just to be able to undo it is no way out. */
static struct err *
unsure_resolve(struct run *r, struct undo_entry *x)
{
    AUTO(json_freep) json_t *answer = NULL;
    json_t *prompt = json_stringf("'%s' was cut off, and may have been carried out. Look: was it "
                                  "(undo), was it not (not_done), or leave it (give_up)?",
                                  x->path);
    PASS(ask(r, x,
             json_pack("{so s[sss]}", "prompt", prompt, "choices", "undo", "not_done", "give_up"),
             &answer));
    const char *said = json_string_value(answer);
    if (str_eq(said, "not_done")) {
        move(r, x, UNDO_NOTHING, NULL);
    } else if (str_eq(said, "give_up")) {
        move(r, x, UNDO_GIVEN_UP, NULL);
    } else {
        x->tries = 1;
        move(r, x, UNDO_TRYING, NULL);
    }
    return NULL;
}

static struct err *
failed_resolve(struct run *r, struct undo_entry *x)
{
    AUTO(json_freep) json_t *answer = NULL;
    json_t *prompt = json_stringf("the undo of '%s' failed: %s. Try again (retry), is it undone by "
                                  "now (done), or leave it (give_up)?",
                                  x->path, x->error ? x->error : "");
    PASS(ask(r, x,
             json_pack("{so s[sss]}", "prompt", prompt, "choices", "retry", "done", "give_up"),
             &answer));
    const char *said = json_string_value(answer);
    if (str_eq(said, "done")) {
        move(r, x, UNDO_BY_HAND, NULL);
    } else if (str_eq(said, "give_up")) {
        move(r, x, UNDO_GIVEN_UP, NULL);
    } else {
        x->tries++;
        move(r, x, UNDO_TRYING, NULL);
    }
    return NULL;
}

/* What the node gave is the message of an undo that names none. */
static struct err *
message_of(const struct run *r, const struct deed *d, json_t **ret_input, char **ret_text)
{
    AUTO(json_freep) json_t *text = NULL;
    json_t *kept = json_object_get(d->request, "input");
    const struct json_want want[] = {{"output", ret_input}, {"text", &text}};
    if (kept) {
        *ret_input = json_incref(kept);
        text = json_incref(json_object_get(d->request, "text"));
    } else {
        PASS(view_node_pick(r->view, d->x->path, want, COUNT(want)));
    }
    *ret_text = json_is_string(text) ? xstrdup(json_string_value(text))
                : *ret_input         ? json_as_text(*ret_input)
                                     : xstrdup("");
    return NULL;
}

static struct err *
try_once(struct run *r, const struct deed *d)
{
    AUTO(json_freep) json_t *input = NULL;
    AUTO(freep) char *message = NULL;
    AUTO(freep) char *path = xasprintf("%s/undo[%u]", d->x->path, d->x->tries);
    AUTO(reply_fini) struct reply reply = {0};
    const json_t *q = d->request;
    const char *error = json_str(q, "error", NULL), *agent = json_str(q, "agent", "");
    if (error)
        return FAIL(ERR_INVALID, "it could not be made: %s", error);
    PASS(message_of(r, d, &input, &message));
    struct node node = {.id = "undo",
                        .kind = "undo",
                        .retry = json_object_get(q, "retry"),
                        .timeout_ms = json_int(q, "timeout", 0),
                        .effect = -1};
    enum effect effect;
    if (effect_parse(json_str(q, "effect", ""), &effect))
        node.effect = (int)effect;
    struct work w = {.path = path,
                     .type = "undo",
                     .worker = agent,
                     .child = plan_graph(r->flow->plan, agent),
                     .node = &node,
                     .depth = {1, 0},
                     .task = {.message = message,
                              .input = json_is_string(input) ? NULL : input,
                              .action = json_str(q, "action", NULL),
                              .params = json_object_get(q, "parameters"),
                              .instruction = json_str(q, "instruction", NULL),
                              .server_name = json_str(q, "server_name", NULL)}};
    return work_run(r, &w, &reply);
}

/* What is to be taken back is not there, as whoever had it says: a former try took it, or that is
 * said to be fine. At the first try of another undo it may as well be a slip. */
static bool
is_gone(const struct undo_entry *x, const struct err *e)
{
    return err_kind(e) == ERR_MISSING && err_answered(e) && (err_in_doubt(e) || x->tolerates);
}

static struct err *
carry_out(struct run *r, const struct deed *d)
{
    struct undo_entry *x = d->x;
    struct err *e = try_once(r, d);
    if (e && is_gone(x, e))
        err_freep(&e);
    if (!e) {
        move(r, x, UNDO_DONE, NULL);
        return NULL;
    }
    if (err_kind(e) == ERR_PARKED || err_kind(e) == ERR_CANCELLED || r->broken || r->interrupted)
        return e;
    AUTO(freep) char *text = err_text(e);
    err_free(e);
    move(r, x, UNDO_FAILED, text);
    return NULL;
}

static struct err *
deed_undo(struct run *r, const struct deed *d)
{
    struct undo_entry *x = d->x;
    while (undo_is_due(x)) {
        PASS(fiber_check());
        if (x->state == UNDO_UNSURE) {
            PASS(unsure_resolve(r, x));
        } else if (x->state == UNDO_FAILED) {
            PASS(failed_resolve(r, x));
        } else if (x->state == UNDO_TRYING) {
            PASS(carry_out(r, d));
        } else if (x->state == UNDO_BEGUN && !x->tolerates) {
            move(r, x, UNDO_UNSURE, NULL);
        } else {
            x->tries = 1;
            move(r, x, UNDO_TRYING, NULL);
        }
    }
    return NULL;
}

/* ---- all of them ----------------------------------------------------------- */

struct undoing {
    struct run *run;
    const char *below;
    int64_t since;
    struct deed deed; /* the one whose turn it is */
    struct err *e;
};

static struct err *
deed_take(void *ctx, const struct store_record *stored)
{
    struct undoing *u = ctx;
    const struct record rec = stored_record(stored);
    PASS(undolog_open(view_undo(u->run->view), &rec, &u->deed.x));
    return undo_request(&rec, &u->deed.request);
}

/* Undos that never wait let others run, and do not run away from what is safe. */
static struct err *
keep_up(struct run *r)
{
    fiber_yield();
    return r->pending.len > PENDING_MAX ? run_flush(r) : NULL;
}

static void
undoing_main(void *arg)
{
    struct undoing *u = arg;
    struct run *r = u->run;
    const struct undolog *log = view_undo(r->view);
    int64_t seq = INT64_MAX;
    for (unsigned n = 1; !u->e && (seq = undolog_newest(log, u->below, u->since, seq)); n++) {
        u->e = store_read_one(r->engine->opts.store, r->lease.id, seq, deed_take, u);
        if (!u->e)
            u->e = deed_undo(r, &u->deed);
        json_freep(&u->deed.request);
        if (!u->e && n % YIELD_EVERY == 0)
            u->e = keep_up(r);
    }
}

/* In a scope of its own: what ends the run, or the node around, must not end this. */
static struct err *
undo_apart(struct run *r, const char *below, int64_t since)
{
    struct undoing u = {.run = r, .below = below, .since = since};
    struct scope scope;
    scope_open_detached(&scope);
    vec_push(&r->undos, &scope);
    if (r->interrupted || r->broken)
        scope_cancel(&scope);
    scope_spawn(&scope, "undo", undoing_main, &u);
    err_drop(scope_close(&scope)); /* what it has to say is in u */
    for (size_t i = 0; i < r->undos.len; i++) {
        if (r->undos.at[i] == &scope) {
            r->undos.at[i] = r->undos.at[--r->undos.len];
            break;
        }
    }
    return u.e;
}

/* cause: the body of REC_UNDOING. */
static struct err *
undo_all(struct run *r, const char *path, int64_t since, json_t *OWN cause)
{
    const bool was = fiber_shield(true);
    if (!undolog_begun(view_undo(r->view), path) || (r->rollback && !*path))
        run_append(r, REC_UNDOING, path, json_incref(cause), false);
    json_decref(cause);
    struct err *e = run_barrier(r);
    if (!e)
        e = undo_apart(r, path, since);
    fiber_shield(was);
    return e;
}

/* Everything that was noted is in the view. */
static struct err *
notes_commit(struct run *r)
{
    const bool was = fiber_shield(true);
    struct err *e = run_barrier(r);
    fiber_shield(was);
    return e;
}

int64_t
saga_mark(const struct run *r)
{
    return r->lease.seq;
}

static json_t *
cause_body(const char *reason, enum run_status status, const struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : NULL;
    return json_pack("{ss ss so* ss* sI}", "reason", reason, "status", run_status_name(status),
                     "error", text ? json_string_lossy(text, strlen(text)) : NULL, "kind",
                     e ? err_kind_name(err_kind(e)) : NULL, "at", rt_wall_ms());
}

struct err *
saga_cause(const struct run *r, const char *path)
{
    const json_t *cause = undolog_begun(view_undo(r->view), path);
    enum err_kind kind = ERR_TRANSIENT;
    if (!cause)
        return NULL;
    err_kind_parse(json_str(cause, "kind", ""), &kind);
    return FAIL(kind, "%s", json_str(cause, "error", "failed"));
}

struct err *
saga_failed(struct run *r, const char *path, int64_t mark, struct err *e)
{
    const char *reason = err_kind(e) == ERR_CANCELLED ? "cancelled" : "failed";
    if (!plan_undoes(r->flow->plan) || r->broken || r->interrupted)
        return e;
    struct err *undone = notes_commit(r);
    if (!undone && undolog_newest(view_undo(r->view), path, mark, INT64_MAX))
        undone = undo_all(r, path, mark, cause_body(reason, RUN_FAILED, e));
    if (!undone)
        return e;
    err_free(e);
    return undone;
}

/* ---- the run --------------------------------------------------------------- */

/* What the run was before it was taken up again: that stays to be seen. */
static json_t *
rollback_body(const struct run *r)
{
    static const char *const kept[] = {"status", "output", "text", "error"};
    const json_t *ended = view_ended(r->view);
    json_t *cause = cause_body("rollback", RUN_COMPLETED, NULL);
    for (size_t i = 0; i < COUNT(kept); i++) {
        json_t *member = json_object_get(ended, kept[i]);
        if (member)
            json_object_set(cause, kept[i], member);
    }
    return cause;
}

struct err *
saga_all(struct run *r, const char *reason, const struct err *e, bool *ret_did)
{
    *ret_did = false;
    if (!plan_undoes(r->flow->plan))
        return NULL;
    PASS(notes_commit(r));
    const bool cancelled = strcmp(reason, "cancelled") == 0;
    const struct undolog *log = view_undo(r->view);
    *ret_did = undolog_begun(log, "") || undolog_newest(log, "", 0, INT64_MAX);
    if (!*ret_did)
        return NULL;
    return undo_all(
        r, "", 0,
        strcmp(reason, "rollback") == 0
            ? rollback_body(r)
            : cause_body(reason, cancelled ? RUN_CANCELLED : RUN_FAILED, cancelled ? NULL : e));
}

json_t *
saga_end_body(const struct run *r)
{
    static const char *const kept[] = {"output", "text", "error"};
    const struct undolog *log = view_undo(r->view);
    const json_t *cause = undolog_begun(log, "");
    const char *status = undolog_count(log, UNDO_GIVEN_UP) ? json_str(cause, "status", "failed")
                                                           : run_status_name(RUN_COMPENSATED);
    json_t *body = json_pack("{ss sI}", "status", status, "at", rt_wall_ms());
    for (size_t i = 0; i < COUNT(kept); i++) {
        json_t *member = json_object_get(cause, kept[i]);
        if (member)
            json_object_set(body, kept[i], member);
    }
    return body;
}

void
saga_interrupt(struct run *r)
{
    for (size_t i = 0; i < r->undos.len; i++)
        scope_cancel(r->undos.at[i]);
}
