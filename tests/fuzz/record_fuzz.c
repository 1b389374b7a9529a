/* record_fuzz.c - bytes as a journal: what the store hands to an engine that resumes or shows a
 * run.
 *
 * A line is a record: its first byte says the kind, then the path, a tab, and the body as it is
 * stored. Of each body: it is refused with a reason, or what was read encodes to bytes that read as
 * the same. Of the journal: what the document and the memory of a resumed run say of it is what a
 * plain search through the records says. For one input in four: it comes back from a store as it
 * went in, a byte that changes there is noticed, and the document is the same when asked for again.
 * For one in sixty-four (it takes far longer) an engine resumes the run: it must end or wait, and
 * no step that has a record may be made again. All bytes also go through the reader of pages. */
#include "base/hash.h"
#include "engine/runcore.h"
#include "plan/lower.h"
#include "store/mem/memcore.h" /* to damage what it holds */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS 64 /* of one input; further lines are left out */
#define RUN_ID  "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define NOW_MS  1795237200123

struct journal {
    char *text; /* the input; tabs and line ends become the ends of texts */
    struct store_record records[RECORDS];
    json_t *bodies[RECORDS]; /* decoded; NULL: refused, or behind one that is */
    size_t n;
    bool whole;  /* every body could be read */
    bool beyond; /* it has records of kinds that the searches below know nothing of */
    bool strict; /* one input in four is looked at more closely */
};

/* ---- the input ------------------------------------------------------------------------------ */

static const struct {
    char letter;
    enum record_kind kind;
} known[] = {{'R', REC_RUN_STARTED}, {'A', REC_RUN_RESUMED},  {'E', REC_RUN_ENDED},
             {'W', REC_RUN_WAITING}, {'n', REC_NODE_STARTED}, {'N', REC_NODE_ENDED},
             {'i', REC_STEP_INTENT}, {'d', REC_STEP_DONE},    {'f', REC_STEP_FAILED}};

static bool
is_known(int kind)
{
    for (size_t i = 0; i < COUNT(known); i++) {
        if ((int)known[i].kind == kind)
            return true;
    }
    return false;
}

/* Of this version, and not looked for here: read without a crash, and no more is asked. */
static bool
is_beyond(int kind)
{
    AUTO(json_freep) json_t *body = json_object();
    return !is_known(kind) && strcmp(record_event((enum record_kind)kind, body), "unknown") != 0;
}

static int
kind_of(char c)
{
    for (size_t i = 0; i < COUNT(known); i++) {
        if (known[i].letter == c)
            return (int)known[i].kind;
    }
    return c;
}

static void
journal_read(struct journal *j, const uint8_t *data, size_t size)
{
    j->text = xmalloc(size + 1);
    memcpy(j->text, data, size);
    j->text[size] = '\0';
    char *end = j->text + size;
    for (char *line = j->text, *next; line < end && j->n < RECORDS; line = next) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        next = stop + 1;
        char *tab = memchr(line, '\t', (size_t)(stop - line));
        if (!tab || tab == line)
            continue;
        *tab = '\0';
        j->records[j->n++] = (struct store_record){.kind = kind_of(*line),
                                                   .path = line + 1,
                                                   .body = tab + 1,
                                                   .body_len = (size_t)(stop - tab) - 1};
    }
}

static void
journal_fini(struct journal *j)
{
    for (size_t i = 0; i < j->n; i++)
        json_decref(j->bodies[i]);
    free(j->text);
}

/* ---- one body ------------------------------------------------------------------------------- */

static void
refusal_check(struct err *OWN e)
{
    AUTO(freep) char *text = err_text(e);
    assert(*text && utf8_valid(text, strlen(text)));
    assert(err_kind(e) == ERR_INVALID);
    err_free(e);
}

static struct record
record_made(const struct store_record *r)
{
    return (struct record){(enum record_kind)r->kind, r->path, r->body, r->body_len};
}

static json_t *
body_try(const struct store_record *r, bool strict)
{
    AUTO(str_fini) struct str once = STR_INIT, twice = STR_INIT;
    AUTO(json_freep) json_t *again = NULL;
    json_t *body = NULL;
    const struct record rec = record_made(r);
    struct err *e = record_decode(&rec, &body);
    assert(!e == !!body);
    if (e) {
        refusal_check(e);
        return NULL;
    }
    record_encode(body, &once);
    e = record_decode(&(struct record){.body = once.p, .body_len = once.len}, &again);
    assert(!e && json_equal(body, again));
    if (strict)
        record_encode(again, &twice);
    assert(!strict || (once.len == twice.len && memcmp(once.p, twice.p, once.len) == 0));
    const char *event = record_event((enum record_kind)r->kind, body);
    assert(strcmp(event, "unknown") != 0 || !is_known(r->kind));
    return body;
}

/* ---- the store ------------------------------------------------------------------------------ */

static void
no_news(void *ctx, const char *run_id)
{
    (void)ctx, (void)run_id;
}

static struct err *
ask(struct mem *h, struct request *r)
{
    memcpy(r->node, "owner", sizeof "owner");
    r->node_inc = 1;
    r->now_ms = 1000;
    PASS(request_check(r));
    mem_ops.exec(h, r);
    return STEAL(r->err);
}

/* What comes back is what went in, with numbers from 1. */
static void
page_check(const struct journal *j, const struct request *read)
{
    struct bytes_in in = bytes_in(read->page.p, read->page.len);
    for (size_t i = 0; i < j->n; i++) {
        const struct store_record *want = &j->records[i];
        struct store_record r;
        record_get(&in, &r);
        assert(!in.bad && r.seq == (int64_t)i + 1 && r.kind == want->kind);
        assert(strcmp(r.path, want->path) == 0 && r.body_len == want->body_len);
        assert(r.body_len == 0 || memcmp(r.body, want->body, r.body_len) == 0);
    }
    assert(bytes_in_done(&in) && !read->more);
}

/* One byte of a record, chosen by chance, becomes another one. */
static void
damage(struct mem_record *m, uint32_t chance)
{
    const size_t path_len = strlen(m->path), at = chance / 256 % (path_len + m->body_len + 1);
    if (at == path_len + m->body_len) {
        m->kind ^= 1 << chance % 31;
        return;
    }
    char *byte = at < path_len ? m->path + at : m->body + (at - path_len);
    const char now = (char)(*byte ^ (char)(1 + chance % 255));
    *byte = now || at >= path_len ? now : *byte == 1 ? 2 : 1; /* a path holds no NUL */
}

static void
store_try(const struct journal *j, uint32_t chance)
{
    struct store_mem *m = store_mem_new();
    int64_t clock;
    struct mem *h = mem_open(m, "owner", no_news, NULL, &clock);
    const struct store_new_run row = {
        .id = RUN_ID, .def_hash = "d", .name = "n", .status = RUN_RUNNING};
    AUTO(request_fini)
    struct request create = {.op = OP_CREATE,
                             .new_run = &row,
                             .records = j->records,
                             .nrecords = j->n,
                             .status = RUN_RUNNING};
    struct err *e = ask(h, &create);
    if (e) {
        refusal_check(e); /* a path that is not UTF-8 */
    } else {
        AUTO(request_fini) struct request read = {.op = OP_READ, .id = RUN_ID, .from = 1};
        AUTO(request_fini) struct request spoilt = {.op = OP_READ, .id = RUN_ID, .from = 1};
        e = ask(h, &read);
        assert(!e && !read.damaged);
        page_check(j, &read);
        damage(&m->runs.at[0]->journal.at[chance % j->n], chance);
        e = ask(h, &spoilt);
        assert(e && spoilt.damaged);
        refusal_check(e);
    }
    mem_ops.close(h);
    store_mem_free(m);
}

/* Any bytes as a page; what is read is written as the same bytes. */
static void
page_try(const uint8_t *data, size_t size)
{
    AUTO(str_fini) struct str back = STR_INIT;
    struct bytes_in in = bytes_in(data, size);
    size_t good = 0;
    while (in.at < in.end) {
        struct store_record r;
        record_get(&in, &r);
        if (in.bad)
            break;
        record_put(&back, &r);
        good = (size_t)(in.at - data);
    }
    assert(back.len == good && (!good || memcmp(back.p, data, good) == 0));
}

/* ---- what the engine tells of it ------------------------------------------------------------ */

/* The last record of this kind and path, or the first one; NULL: none. */
static const json_t *
search(const struct journal *j, enum record_kind kind, const char *path, bool first)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < j->n; i++) {
        if (j->records[i].kind != (int)kind || strcmp(j->records[i].path, path) != 0 ||
            !j->bodies[i])
            continue;
        found = j->bodies[i];
        if (first)
            break;
    }
    return found;
}

static bool
same(const json_t *a, const json_t *b)
{
    return a == b || (a && b && json_equal(a, b));
}

static void
node_check(const struct journal *j, const struct view *v, const char *path)
{
    static const char *const names[] = {"output", "status", "usage", "at"};
    json_t *found[COUNT(names)];
    struct json_want want[COUNT(names)];
    const json_t *ended = search(j, REC_NODE_ENDED, path, false);
    const json_t *body = ended ? ended : search(j, REC_NODE_STARTED, path, true);
    assert(view_node_ended(v, path) == !!ended);
    for (size_t i = 0; i < COUNT(names); i++)
        want[i] = (struct json_want){names[i], &found[i]};
    struct err *e = view_node_pick(v, path, want, COUNT(want));
    assert(!e);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert(same(found[i], json_object_get(body, names[i])));
        json_decref(found[i]);
    }
}

static void
recall_check(const struct journal *j, const struct view *v)
{
    for (size_t i = 0; i < j->n; i++) {
        const char *path = j->records[i].path;
        AUTO(json_freep) json_t *step = NULL;
        bool failed;
        node_check(j, v, path);
        const json_t *done = search(j, REC_STEP_DONE, path, false);
        const json_t *not = search(j, REC_STEP_FAILED, path, false);
        struct err *e = view_step(v, path, &step, &failed);
        assert(!e && same(step, done ? done : not ));
        assert(failed == (!done && not ));
        assert(view_step_begun(v, path) == !!search(j, REC_STEP_INTENT, path, false));
    }
    const char *open;
    for (size_t i = 0; (open = view_step_open(v, &i));)
        assert(search(j, REC_STEP_INTENT, open, false) && !search(j, REC_STEP_DONE, open, false) &&
               !search(j, REC_STEP_FAILED, open, false));
    assert(view_former_ms(v, INT64_MIN) >= 0);
}

static enum run_status
status_of(const struct journal *j)
{
    enum run_status status = RUN_RUNNING;
    for (size_t i = 0; i < j->n && j->bodies[i]; i++) {
        if (j->records[i].kind == REC_RUN_RESUMED)
            status = RUN_RUNNING;
        else if (j->records[i].kind == REC_RUN_WAITING)
            status = RUN_WAITING;
        else if (j->records[i].kind == REC_RUN_ENDED)
            run_status_parse(json_str(j->bodies[i], "status", ""), &status);
    }
    return status;
}

/* It can be written and read, and asking for it changed nothing. */
static void
document_check(const struct view *v, const json_t *doc)
{
    AUTO(json_freep) json_t *twice = NULL;
    AUTO(json_freep) json_t *read = NULL;
    AUTO(freep) char *text = json_text(doc);
    struct err *e = view_document(v, NOW_MS, true, &twice);
    assert(!e && json_equal(doc, twice));
    e = json_parse(text, strlen(text), &read);
    if (e) { /* it wraps values that are as deep as may be */
        AUTO(freep) char *why = err_text(e);
        assert(strstr(why, "nested deeper"));
        err_free(e);
    }
    assert(e || json_equal(read, doc));
}

static void
view_check(const struct journal *j, const struct view *v)
{
    AUTO(json_freep) json_t *doc = NULL;
    struct err *e = view_document(v, NOW_MS, true, &doc);
    assert(!e && view_status(v) == status_of(j));
    assert(strcmp(json_str(doc, "status", ""), run_status_name(view_status(v))) == 0);
    assert(json_int(doc, "duration_ms", -1) >= 0);
    assert(json_is_object(json_object_get(doc, "usage")));
    for (size_t i = 0; i < j->n; i++) {
        const struct store_record *r = &j->records[i];
        if ((r->kind == REC_NODE_STARTED || r->kind == REC_NODE_ENDED) && j->bodies[i] &&
            utf8_valid(r->path, strlen(r->path)))
            assert(json_object_get(json_object_get(doc, "nodes"), r->path));
    }
    if (j->strict)
        document_check(v, doc);
}

/* Whatever it is, it is refused when it is fed or when it is read. */
static void
damaged_try(struct view *v, const struct store_record *r)
{
    AUTO(json_freep) json_t *doc = NULL;
    struct err *e = run_recall(v, r);
    if (!e)
        e = view_document(v, NOW_MS, true, &doc);
    if (e) /* none: the node has a better record, or its path is no text */
        refusal_check(e);
}

/* As store_read feeds it; the first record that cannot be read comes last. */
static void
engine_try(struct journal *j)
{
    struct view *v = view_new(RUN_ID);
    size_t i = 0;
    for (; i < j->n; i++) {
        j->records[i].seq = (int64_t)i + 1;
        j->bodies[i] = body_try(&j->records[i], j->strict);
        if (!j->bodies[i])
            break;
        struct err *e = run_recall(v, &j->records[i]);
        j->beyond |= is_beyond(j->records[i].kind);
        assert(!e || is_beyond(j->records[i].kind));
        if (!e)
            continue;
        refusal_check(e);
        break;
    }
    j->whole = i == j->n && !j->beyond;
    if (!j->beyond) {
        recall_check(j, v);
        view_check(j, v);
    }
    if (i < j->n)
        damaged_try(v, &j->records[i]);
    view_free(v);
}

/* ---- resuming it ----------------------------------------------------------------------------- */

#define DOC                                                                                        \
    "{\"agents\":{\"say\":{\"type\":\"echo\"},\"mail\":{\"type\":\"once\"}},\"workflows\":{"       \
    "\"main\":{\"type\":\"chain\",\"sequence\":[\"mail\",\"say\"]}}}"

static unsigned sent; /* how often the one step was made */

static struct err *
echo_run(struct host *h, const struct task *t, struct reply *ret)
{
    (void)h;
    reply_set_text(ret, t->message, strlen(t->message));
    return NULL;
}

static struct err *
send_step(void *ctx, const struct step_call *c, json_t **ret_value, struct usage *usage)
{
    (void)ctx, (void)c, (void)usage;
    sent++;
    *ret_value = json_string("done");
    return NULL;
}

static struct err *
once_run(struct host *h, const struct task *t, struct reply *ret)
{
    (void)t;
    json_t *value = NULL;
    const struct step s = {.name = "send",
                           .type = "test",
                           .target = "mail",
                           .effect = EFFECT_ONCE,
                           .timeout_ms = 60000,
                           .run = send_step};
    PASS(h->ops->step(h, &s, &value));
    reply_set_json(ret, value);
    return NULL;
}

static const struct kind echo_kind = {.name = "echo", .roles = ROLE_AGENT, .run = echo_run};
static const struct kind once_kind = {.name = "once", .roles = ROLE_AGENT, .run = once_run};
static const struct kind *const agents[] = {&echo_kind, &once_kind, NULL};
static const struct kind *const workflows[] = {&dag_kind, &task_kind, &chain_kind, NULL};

static const char *const beliefs[] = {NULL, "done", "retry", "mail=fail"};

struct resuming {
    const struct journal *j;
    uint32_t chance;
};

/* A run that began here and then has these records; nobody has it. */
static struct err *
run_put_by(struct store *s, const struct journal *j, const struct flow *f)
{
    struct store_record all[RECORDS + 1];
    struct store_lease lease;
    bool existing;
    AUTO(str_fini) struct str first = STR_INIT;
    const char *hash = plan_hash(f->plan);
    str_addf(&first, "%c{\"workflow\":\"main\",\"def\":\"%s\",\"at\":1,\"input\":\"x\"}",
             JOURNAL_FORMAT, hash);
    all[0] = (struct store_record){
        .kind = REC_RUN_STARTED, .path = "", .body = first.p, .body_len = first.len};
    memcpy(all + 1, j->records, j->n * sizeof *all);
    const struct store_def def = {
        .hash = hash, .name = "main", .body = f->body, .body_len = strlen(f->body)};
    const struct store_new_run row = {.id = RUN_ID,
                                      .def = &def,
                                      .def_hash = hash,
                                      .name = "main",
                                      .records = all,
                                      .nrecords = j->n + 1,
                                      .status = RUN_RUNNING};
    PASS(store_create(s, &row, &lease, &existing));
    return store_release(s, &lease, 0);
}

static struct err *
event_check(void *told, const struct run_event *ev)
{
    int64_t *next = told;
    assert(ev->seq == (*next)++ && *ev->name && json_is_object(ev->detail));
    return NULL;
}

static void
resumed_check(const struct resuming *x, struct store *s, struct engine *e, struct run *r)
{
    static const char path[] = "mail/send";
    struct store_invariants inv;
    AUTO(json_freep) json_t *doc = NULL;
    struct err *failed = run_wait(r, rt_after(3600 * 1000));
    assert(!failed && run_is_over(r));
    assert(run_state(r) >= RUN_ENDED || run_state(r) == RUN_WAITING);
    if (search(x->j, REC_STEP_DONE, path, false) || search(x->j, REC_STEP_FAILED, path, false) ||
        (search(x->j, REC_STEP_INTENT, path, false) && x->chance / 64 % COUNT(beliefs) != 2))
        assert(!sent);
    assert(sent <= 1);
    failed = store_check(s, &inv);
    assert(!failed && !inv.damaged && !inv.gaps && !inv.lost_runs);
    failed = engine_document(e, RUN_ID, &doc);
    assert(!failed && json_is_object(doc));
    int64_t told = 1;
    failed = engine_history(e, RUN_ID, event_check, &told);
    assert(!failed && told > (int64_t)x->j->n + 1);
}

static void
resume_fiber(void *arg)
{
    struct resuming *x = arg;
    AUTO(json_freep) json_t *doc = NULL;
    struct store *s = NULL;
    struct flow *f = NULL;
    struct run *r = NULL;
    static const unsigned char key[32] = "a key of thirty-two bytes, or so";
    struct err *failed = store_open(&(struct store_opts){0}, &s);
    assert(!failed);
    struct engine *e = engine_new(&(struct engine_opts){
        .store = s, .agents = agents, .workflows = workflows, .install_key = key});
    failed = json_parse(DOC, sizeof DOC - 1, &doc);
    assert(!failed);
    failed = engine_flow(e, &(struct flow_source){.doc = doc, .workflow = "main"}, &f);
    assert(!failed);
    sent = 0;
    failed = run_put_by(s, x->j, f);
    if (!failed)
        failed = engine_resume(e, RUN_ID, beliefs[x->chance / 64 % COUNT(beliefs)], &r);
    if (failed) {
        assert(err_kind(failed) == ERR_INVALID || err_kind(failed) == ERR_MISSING);
        err_free(failed);
    } else {
        resumed_check(x, s, e, r);
    }
    run_unref(r);
    flow_unref(f);
    engine_free(e);
    store_close(s);
}

static void
resume_try(const struct journal *j, uint32_t chance)
{
    struct resuming x = {j, chance};
    struct rt *rt;
    struct err *e = rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt);
    assert(!e);
    rt_run(rt, resume_fiber, &x);
    rt_close(rt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint32_t chance = crc32c(0, data, size);
    struct journal j = {0};
    journal_read(&j, data, size);
    j.strict = chance % 4 == 0;
    engine_try(&j);
    if (j.n && j.strict)
        store_try(&j, chance);
    if (chance % 64 == 1 && j.whole)
        resume_try(&j, chance);
    page_try(data, size);
    journal_fini(&j);
    return 0;
}
