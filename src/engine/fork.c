/* fork.c - a new run with the records of a former one that it takes over. */
#include "engine/fork.h"
#include "engine/forkmark.h"
#include "engine/runcore.h"
#include "store/record.h"
#include <stdlib.h>
#include <string.h>

#define BATCH_RECORDS 1000
#define BATCH_BYTES   ((size_t)4 << 20) /* of one commit; a record may be larger */

struct forking {
    struct engine *e;
    struct store_run origin;
    struct fork_marks marks;
    struct flow *flow; /* the origin's */
    json_t *started;   /* body of its first record */
    int64_t upto;      /* records of it that count: it may be going on */
    /* the copy */
    struct store_new_run *row; /* until it is created */
    struct store_lease lease;
    VEC(struct store_record) batch; /* owned */
    size_t batch_bytes;
    int64_t skip, taken; /* records that are there already; all of them */
};

static void
batch_drop(struct forking *f)
{
    vec_each (&f->batch, r) {
        free((char *)(uintptr_t)r->path);
        free((void *)(uintptr_t)r->body);
    }
    f->batch.len = 0;
    f->batch_bytes = 0;
}

static void
forking_fini(struct forking *f)
{
    batch_drop(f);
    vec_fini(&f->batch);
    store_run_fini(&f->origin);
    fork_marks_fini(&f->marks);
    flow_unref(f->flow);
    json_decref(f->started);
}

/* ---- the origin ------------------------------------------------------------ */

static struct err *
origin_feed(void *ctx, const struct store_record *stored)
{
    struct forking *f = ctx;
    const struct record rec = {(enum record_kind)stored->kind, stored->path, stored->body,
                               stored->body_len};
    if (f->upto && stored->seq > f->upto)
        return NULL;
    if (rec.kind == REC_RUN_STARTED && !f->started)
        PASS(record_decode(&rec, &f->started));
    return fork_marks_feed(&f->marks, stored);
}

static struct err *
origin_read(struct forking *f, const char *run, const char *from)
{
    fork_marks_init(&f->marks);
    PASS(engine_find_run(f->e, run, &f->origin));
    f->upto = f->upto ? f->upto : f->origin.seq;
    PASS(store_read(f->e->opts.store, f->origin.id, 1, origin_feed, f));
    if (!f->started)
        return FAIL(ERR_INVALID, "the journal does not begin with the start of a run");
    PASS(flow_stored(f->e, json_str(f->started, "def", ""), &f->flow));
    return fork_marks_set(&f->marks, flow_plan(f->flow), from);
}

/* ---- the copy -------------------------------------------------------------- */

static struct err *
batch_write(struct forking *f)
{
    struct err *e;
    if (f->row) {
        bool existing = false;
        f->row->records = f->batch.at;
        f->row->nrecords = f->batch.len;
        e = store_create(f->e->opts.store, f->row, &f->lease, &existing);
        if (!e && existing) {
            f->lease = (struct store_lease){0};
            e = FAIL(ERR_TRANSIENT, "the id of the new run is taken: try again");
        }
        f->row = NULL;
    } else {
        struct store_commit c = {.lease = &f->lease,
                                 .records = f->batch.at,
                                 .nrecords = f->batch.len,
                                 .status = RUN_RUNNING};
        e = store_commit(f->e->opts.store, &c);
    }
    batch_drop(f);
    return e;
}

static struct err *
batch_add(struct forking *f, enum record_kind kind, const char *path, struct str *OWN body)
{
    if (f->batch.len == BATCH_RECORDS || (f->batch.len && f->batch_bytes > BATCH_BYTES)) {
        struct err *e = batch_write(f);
        if (e) {
            str_fini(body);
            return e;
        }
    }
    f->batch_bytes += body->len;
    const size_t n = body->len;
    vec_push(
        &f->batch,
        ((struct store_record){
            .kind = (int)kind, .path = xstrdup(path), .body = str_steal(body), .body_len = n}));
    return NULL;
}

static struct err *
copy_record(void *ctx, const struct store_record *rec)
{
    struct forking *f = ctx;
    struct str body = STR_INIT;
    if (rec->seq > f->upto || !fork_takes(&f->marks, rec) || f->taken++ < f->skip)
        return NULL;
    str_addn(&body, rec->body, rec->body_len);
    return batch_add(f, (enum record_kind)rec->kind, rec->path, &body);
}

/* What is not there yet, and the record that says that all is. */
static struct err *
copy_rest(struct forking *f)
{
    struct str body = STR_INIT;
    PASS(store_read(f->e->opts.store, f->origin.id, 1, copy_record, f));
    json_t *end =
        json_pack("{ss sI sI}", "run", f->origin.id, "taken", f->taken, "at", rt_wall_ms());
    run_encode(f->e, end, &body);
    json_decref(end);
    PASS(batch_add(f, REC_RUN_FORKED, "", &body));
    return batch_write(f);
}

/* ---- the new run ----------------------------------------------------------- */

static json_t *
inputs_join(const json_t *old, const json_t *changed)
{
    json_t *inputs = old ? json_deep_copy(old) : json_object();
    if (changed)
        json_object_update(inputs, (json_t *)(uintptr_t)changed);
    return inputs;
}

/* A start without a text has its inputs as input. */
static json_t *
input_of(const struct forking *f, const struct fork_request *q, json_t *inputs)
{
    json_t *old = json_object_get(f->started, "input");
    if (q->input)
        return json_incref((json_t *)(uintptr_t)q->input);
    if (q->inputs && json_is_object(old) && json_equal(old, json_object_get(f->started, "inputs")))
        return json_incref(inputs);
    return json_incref(old);
}

static json_t *
start_body(const struct forking *f, const struct fork_request *q, const struct flow *flow)
{
    AUTO(json_freep)
    json_t *inputs = inputs_join(json_object_get(f->started, "inputs"), q->inputs);
    AUTO(json_freep) json_t *input = input_of(f, q, inputs);
    json_t *body = json_copy(f->started);
    json_object_set_new(body, "at", json_integer(rt_wall_ms()));
    json_object_set_new(body, "def", json_string(plan_hash(flow_plan(flow))));
    if (input)
        json_object_set(body, "input", input);
    if (json_object_size(inputs))
        json_object_set(body, "inputs", inputs);
    json_object_set_new(
        body, "fork",
        json_pack("{ss ss sI}", "run", f->origin.id, "from", q->from, "upto", f->upto));
    return body;
}

static struct err *
fork_create(struct forking *f, const struct fork_request *q)
{
    struct flow *flow = q->flow ? q->flow : f->flow;
    const struct plan *plan = flow_plan(flow);
    AUTO(json_freep) json_t *body = start_body(f, q, flow);
    struct str bytes = STR_INIT;
    unsigned char chance[10];
    char id[RUN_ID_LEN];
    PASS(flow_check_inputs(flow, json_object_get(body, "inputs")));
    rt_random(chance, sizeof chance);
    store_make_id(rt_wall_ms(), chance, id);
    struct store_def def = {.hash = plan_hash(plan),
                            .name = plan_workflow(plan),
                            .body = flow->body,
                            .body_len = flow->body ? strlen(flow->body) : 0};
    struct store_new_run row = {.id = id,
                                .def = flow->body ? &def : NULL,
                                .def_hash = plan_hash(plan),
                                .name = plan_workflow(plan),
                                .status = RUN_RUNNING};
    f->row = &row;
    run_encode(f->e, body, &bytes);
    PASS(batch_add(f, REC_RUN_STARTED, "", &bytes));
    return copy_rest(f);
}

struct err *
engine_fork(struct engine *e, const struct fork_request *q, char ret_id[RUN_ID_LEN])
{
    AUTO(forking_fini) struct forking f = {.e = e};
    struct err *err = origin_read(&f, q->run, q->from);
    if (!err)
        err = fork_create(&f, q);
    if (*f.lease.id) {
        struct err *released = store_release(e->opts.store, &f.lease, 0);
        if (err)
            err_drop(released);
        else
            err = released;
    }
    if (err)
        return WRAP(err, "forking '%s'", q->run);
    memcpy(ret_id, f.lease.id, RUN_ID_LEN);
    return NULL;
}

struct err *
engine_fork_look(struct engine *e, const struct fork_request *q, json_t **ret_doc)
{
    AUTO(forking_fini) struct forking f = {.e = e};
    const char *path;
    void *value;
    TRY(origin_read(&f, q->run, q->from), "forking '%s'", q->run);
    json_t *anew = json_array(), *again = json_array();
    int64_t taken = 0;
    for (size_t i = 0; map_next(f.marks.spots, &i, &path, &value);) {
        const struct spot *s = value;
        const struct store_record here = {.path = s->path};
        const bool takes = fork_takes(&f.marks, &here);
        taken += takes && s->is_node;
        if (s->fate == SPOT_ANEW && s->up->fate != SPOT_ANEW)
            json_array_append_new(anew, json_string(s->path));
        if (!takes && s->target)
            json_array_append_new(again,
                                  json_pack("{ss ss}", "path", s->path, "target", s->target));
    }
    *ret_doc = json_pack("{ss ss sI so so}", "run", f.origin.id, "from", q->from, "taken", taken,
                         "anew", anew, "again", again);
    return NULL;
}

/* ---- after a crash --------------------------------------------------------- */

static struct err *
first_only(void *ctx, const struct store_record *stored)
{
    const struct record rec = {(enum record_kind)stored->kind, stored->path, stored->body,
                               stored->body_len};
    return stored->seq == 1 ? record_decode(&rec, ctx) : NULL;
}

struct err *
fork_complete(struct engine *e, struct store_lease *lease)
{
    AUTO(json_freep) json_t *started = NULL;
    PASS(store_read(e->opts.store, lease->id, 1, first_only, &started));
    const json_t *fork = json_object_get(started, "fork");
    AUTO(forking_fini)
    struct forking f = {
        .e = e, .lease = *lease, .upto = json_int(fork, "upto", 0), .skip = lease->seq - 1};
    struct err *err = origin_read(&f, json_str(fork, "run", ""), json_str(fork, "from", ""));
    if (!err)
        err = copy_rest(&f);
    *lease = f.lease;
    return err ? WRAP(err, "completing the fork of '%s'", json_str(fork, "run", "")) : NULL;
}
