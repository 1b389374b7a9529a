/* owner_test.c - a guest and its owner, when the owner is played by hand: it refuses, answers
 * nonsense, hangs, goes away, and takes the folder along. What the guest's caller sees is an
 * error in words or the right answer, never a wrong one. */
#include "base/vec.h"
#include "rt/file.h"
#include "store/front.h"
#include "store/remote/ownertest.h"
#include "store/remote/remote.h"
#include <unistd.h>

/* ---- greetings ------------------------------------------------------------------------------- */

static void
greetings(struct world *w)
{
    static const struct {
        enum greeting greeting;
        const char *want;
    } row[] = {
        {REFUSE, "invalid: opening the store: refused by the process that has the folder: "
                 "not today"},
        {REFUSE_DUMB, "invalid: opening the store: refused by the process that has the folder: "},
        {OTHER_VERSION, "invalid: opening the store: the process that has the folder speaks "
                        "another protocol"},
        {OTHER_FRAME, "invalid: opening the store: the process that has the folder speaks "
                      "another protocol"},
        {HANG_UP, "limit: opening the store: another process has the folder '' and does not "
                  "answer (the owner of the folder closed the connection); end it or choose "
                  "another folder with --store"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct owner o = {.w = w, .greeting = row[i].greeting};
        struct store_opts opts = {.dir = w->dir, .busy_ms = 300};
        EXPECT_OK(owner_open(&o));
        EXPECT_TOLD(store_open(&opts, &w->s), row[i].want);
        owner_close(&o);
    }
}

/* ---- nonsense -------------------------------------------------------------------------------- */

struct nonsense {
    struct err *(*call)(struct world *w);
    void (*page)(struct str *page); /* of the answer; NULL: none */
    bool more;
    int64_t number;
    const char *want;
};

static bool
answer_page(struct owner *o, struct request *r, struct str *frame, int64_t id)
{
    if (o->row->page)
        o->row->page(&r->page);
    r->more = o->row->more;
    r->number = o->row->number;
    owner_reply(frame, id, r);
    return true;
}

static struct err *
record_seen(void *ctx, const struct store_record *r)
{
    (void)ctx, (void)r;
    return NULL;
}
static struct err *
run_seen(void *ctx, const struct store_run *r)
{
    (void)ctx, (void)r;
    return NULL;
}
static struct err *
call_claim_ready(struct world *w)
{
    struct store_lease l[4];
    size_t n;
    return store_claim_ready(w->s, 4, l, &n);
}
static struct err *
call_read(struct world *w)
{
    return store_read(w->s, "R", 1, record_seen, NULL);
}
static struct err *
call_get_run(struct world *w)
{
    struct store_run run;
    return store_get_run(w->s, "R", &run);
}
static struct err *
call_list(struct world *w)
{
    return store_list(w->s, &(struct store_filter){0}, run_seen, NULL);
}
static struct err *
call_signals(struct world *w)
{
    struct store_signal *g;
    size_t n;
    return store_signals(w->s, "R", &g, &n);
}
static struct err *
call_take_news(struct world *w)
{
    struct store_lease l = {.id = "R", .sig_seq = 7};
    struct store_signal *g;
    size_t n;
    int cancel = 0;
    struct err *e = store_take_news(w->s, &l, &g, &n, &cancel);
    return e && l.sig_seq != 7 ? WRAP(e, "the lease has moved on") : e;
}
static struct err *
call_cancel_state(struct world *w)
{
    int cancel;
    return store_cancel_state(w->s, "R", &cancel);
}
static struct err *
call_check(struct world *w)
{
    struct store_invariants inv;
    return store_check(w->s, &inv);
}

static struct err *
value_seen(void *ctx, const char *key, const void *body, size_t n)
{
    (void)ctx, (void)key, (void)body, (void)n;
    return NULL;
}
static struct err *
call_values(struct world *w)
{
    return store_kv_list(w->s, "limits/", value_seen, NULL);
}

static void
page_short(struct str *page)
{
    put_u8(page, 1);
}
static void
page_numbers(struct str *page)
{
    for (int i = 0; i < 4; i++)
        put_i64(page, 0);
}
static void
page_lease(struct str *page)
{
    lease_put(page, &(struct store_lease){.id = "R"});
    put_u8(page, 1);
}
static void
page_seq(struct str *page)
{
    record_put(page, &(struct store_record){.seq = 7, .path = "p", .body = "", .body_len = 0});
}
static void
page_no_path(struct str *page)
{
    put_i64(page, 1);
    put_u32(page, 1);
    put_text(page, NULL);
    put_blob(page, "b", 1);
}
static void
page_long_id(struct str *page)
{
    struct str run = STR_INIT;
    run_put(&run, &(struct store_run){.id = "R"});
    put_text(page, "an id that is longer than ids are");
    str_addn(page, run.p + 6, run.len - 6); /* behind "R" */
    str_fini(&run);
}
static void
page_no_name(struct str *page)
{
    put_i64(page, 9);
    put_u32(page, 0);
    signal_put(page, &(struct store_signal){.dedupe = page->p});
}

static void
page_no_key(struct str *page)
{
    kv_put(page, NULL, "b", 1);
}
static void
page_other_key(struct str *page)
{
    kv_put(page, "history/a", "b", 1);
}
static void
page_falling(struct str *page)
{
    kv_put(page, "limits/b", "b", 1);
    kv_put(page, "limits/a", "b", 1);
}

static void
nonsense(struct world *w)
{
    static const struct nonsense row[] = {
        {call_claim_ready, page_lease, false, 0, "lease"},
        {call_read, page_short, false, 0, "page of records"},
        {call_read, page_seq, false, 0, "page of records"},
        {call_read, page_no_path, false, 0, "page of records"},
        {call_get_run, page_short, false, 0, "run"},
        {call_get_run, page_long_id, false, 0, "run"},
        {call_get_run, NULL, false, 0, "run"},
        {call_list, page_short, false, 0, "page of runs"},
        {call_list, NULL, true, 5, "cursor"},
        {call_signals, page_no_name, false, 0, "signal"},
        {call_take_news, page_no_name, false, 0, "signal"},
        {call_take_news, page_short, false, 0, "signal"},
        {call_cancel_state, page_short, false, 0, "cancel state"},
        {call_check, page_short, false, 0, "check"},
        {call_check, page_numbers, true, 0, "check"},
        {call_values, page_short, false, 0, "page of values"},
        {call_values, page_no_key, false, 0, "page of values"},
        {call_values, page_other_key, false, 0, "page of values"},
        {call_values, page_falling, false, 0, "page of values"},
        {call_values, NULL, true, 0, "page of values"},
    };
    struct owner o = {.w = w, .answer = answer_page};
    struct store_opts opts = {.dir = w->dir};
    EXPECT_OK(owner_open(&o));
    EXPECT_OK(store_open(&opts, &w->s));
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep)
        char *want = xasprintf("transient: the owner of '' sent a malformed %s", row[i].want);
        o.row = &row[i];
        EXPECT_TOLD(row[i].call(w), want);
    }
    EXPECT(o.connections == 1);
    store_close(w->s);
    w->s = NULL;
    owner_close(&o);
}

/* ---- frames that are none -------------------------------------------------------------------- */

static bool
answer_frame(struct owner *o, struct request *r, struct str *frame, int64_t id)
{
    put_i64(&r->page, 0);
    put_u32(&r->page, 2);
    if (o->requests % 2 == 0) { /* asked again */
        owner_reply(frame, id, r);
        return true;
    }
    switch (o->requests / 2) {
    case 0: /* nobody asked for this */
        owner_reply(frame, id + 1, r);
        break;
    case 1:
        owner_reply(frame, -1, r);
        break;
    case 2: /* not a reply */
        frame_begin(frame, FRAME_REPLY, id);
        put_u8(frame, 1);
        frame_end(frame);
        break;
    case 3: /* not news */
        frame_begin(frame, FRAME_NEWS, 0);
        put_u8(frame, 1);
        frame_end(frame);
        break;
    default: /* neither */
        frame_begin(frame, FRAME_HELLO, 0);
        frame_end(frame);
        break;
    }
    return true;
}

/* The connection is given up, the question asked again on another one, and the answer is right. */
static void
bad_frames(struct world *w)
{
    struct owner o = {.w = w, .answer = answer_frame};
    struct store_opts opts = {.dir = w->dir};
    EXPECT_OK(owner_open(&o));
    EXPECT_OK(store_open(&opts, &w->s));
    for (int i = 0; i < 5; i++) {
        int cancel = 0;
        EXPECT_OK(store_cancel_state(w->s, "R", &cancel));
        EXPECT(cancel == 2 && o.connections == i + 2 && o.requests == 2 * i + 2 && o.retried);
    }
    store_close(w->s);
    w->s = NULL;
    owner_close(&o);
}

/* ---- owners that go -------------------------------------------------------------------------- */

static bool
answer_doubt(struct owner *o, struct request *r, struct str *frame, int64_t id)
{
    (void)o;
    r->err = err_set_in_doubt(FAIL(ERR_TRANSIENT, "the disk went away"));
    owner_reply(frame, id, r);
    return true;
}

static bool
answer_fine(struct owner *o, struct request *r, struct str *frame, int64_t id)
{
    (void)o;
    owner_reply(frame, id, r);
    return true;
}

/* The owner does not know whether it was done; nor does the guest then. What is larger than any
 * frame is not even sent. */
static void
in_doubt(struct world *w)
{
    struct owner o = {.w = w, .answer = answer_doubt};
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l = {.id = "R"};
    bool existing;
    EXPECT_OK(owner_open(&o));
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_TOLD(test_step(w->s, &l, "x"), "transient, in doubt: the disk went away");
    o.requests = 0;
    char *large = xcalloc(1, RECORD_BODY_MAX);
    struct store_def def = {"h", "n", large, RECORD_BODY_MAX};
    struct store_record r = {.kind = 1, .path = "", .body = large, .body_len = RECORD_BODY_MAX};
    struct store_new_run run = {.id = "L",
                                .def_hash = "h",
                                .name = "n",
                                .def = &def,
                                .records = &r,
                                .nrecords = 1,
                                .status = 1};
    struct err *e = store_create(w->s, &run, &l, &existing);
    free(large);
    AUTO(str_fini) struct str text = STR_INIT;
    test_told(w, &text, e);
    EXPECT(str_starts(str_c(&text), "invalid: a commit of 1342"));
    EXPECT(o.requests == 0 && o.connections == 1);
    store_close(w->s);
    w->s = NULL;
    owner_close(&o);
}

/* It goes mad while a large commit is on its way to it: carried out once there is a new connection.
 */
static void
stalls(struct world *w)
{
    struct owner o = {.w = w, .answer = answer_fine, .stall = true};
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l = {.id = "R"};
    char *large = xmalloc(1 << 21);
    memset(large, 'x', (1 << 21) - 1);
    large[(1 << 21) - 1] = '\0';
    struct err *e = owner_open(&o);
    if (!e)
        e = store_open(&opts, &w->s);
    if (!e)
        e = test_step(w->s, &l, large);
    free(large);
    EXPECT_OK(e);
    EXPECT(o.connections == 2 && o.requests == 1 && o.retried);
    struct store_numbers numbers;
    store_numbers(w->s, &numbers);
    EXPECT(numbers.commits == 1 && numbers.records == 1); /* once, though asked twice */
    store_close(w->s);
    w->s = NULL;
    owner_close(&o);
}

static bool
answer_folder_gone(struct owner *o, struct request *r, struct str *frame, int64_t id)
{
    (void)r, (void)frame, (void)id;
    static const char *const names[] = {"lock", "control.sock"};
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO(freep) char *path = path_join(o->w->dir, names[i]);
        unlink(path);
    }
    rmdir(o->w->dir);
    return false;
}

static void
folder_gone(struct world *w)
{
    struct owner o = {.w = w, .answer = answer_folder_gone};
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l = {.id = "R"};
    struct store_numbers numbers;
    EXPECT_OK(owner_open(&o));
    EXPECT_OK(store_open(&opts, &w->s));
#define GONE                                                                                       \
    "the process that had the folder '' is gone: locking '/lock': No such file or directory"
    EXPECT_TOLD(test_step(w->s, &l, "x"), "transient, in doubt: " GONE);
    EXPECT_TOLD(test_step(w->s, &l, "x"), "transient: " GONE); /* not sent to anyone */
    EXPECT_TOLD(call_cancel_state(w), "transient: " GONE);
    store_numbers(w->s, &numbers);
    EXPECT(numbers.commits == 0);
    store_close(w->s);
    w->s = NULL;
    owner_close(&o);
}

static bool
answer_nothing(struct owner *o, struct request *r, struct str *frame, int64_t id)
{
    (void)r, (void)frame, (void)id;
    o->greeting = HANG_UP; /* from now on it only keeps the lock */
    return false;
}

struct asking {
    struct world *w;
    struct str text;
};

static void
asking_run(void *arg)
{
    struct asking *a = arg;
    struct store_lease l = {.id = "R"};
    test_told(a->w, &a->text, test_step(a->w->s, &l, "x"));
}

/* Somebody waits for a new owner that does not come, and the store is closed under them. */
static void
closed_meanwhile(struct world *w)
{
    struct owner o = {.w = w, .answer = answer_nothing};
    struct store_opts opts = {.dir = w->dir};
    struct asking a = {.w = w};
    struct scope scope;
    EXPECT_OK(owner_open(&o));
    EXPECT_OK(store_open(&opts, &w->s));
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "asking", asking_run, &a);
    while (o.connections < 3)
        err_drop(fiber_sleep(1));
    store_close(w->s);
    w->s = NULL;
    err_drop(scope_close(&scope));
    bool right = str_eq(str_c(&a.text), "cancelled, in doubt: the store is being closed");
    str_fini(&a.text);
    EXPECT(right);
    owner_close(&o);
}

/* ---- the driver alone ------------------------------------------------------------------------ */

static void
count_gone(void *ctx)
{
    ++*(int *)ctx;
}

static void
no_news(void *ctx, const char *id)
{
    (void)ctx, (void)id;
}

/* Told once that the owner is gone; what was under way, and what is asked later, comes back. */
static void
gone_once(struct world *w)
{
    struct owner o = {.w = w, .answer = answer_nothing};
    struct remote *remote;
    int gone = 0;
    int64_t clock;
    AUTO(freep) char *path = path_join(w->dir, "control.sock");
    EXPECT_OK(owner_open(&o));
    struct remote_opts opts = {.path = path,
                               .node = "guest",
                               .node_name = "guest",
                               .news = no_news,
                               .on_gone = count_gone,
                               .ctx = &gone};
    EXPECT_OK(remote_open(&opts, rt_after(2000), &remote, &clock));
    for (int i = 0; i < 2; i++) {
        AUTO(request_fini) struct request r = {.op = OP_SIGNALS, .id = "R"};
        remote_ops.exec(remote, &r);
        EXPECT(r.gone && !r.err);
    }
    EXPECT(gone == 1 && o.requests == 1);
    remote_ops.close(remote);
    owner_close(&o);
}

static void
each(void **state)
{
    (void)state;
    static const scenario_fn fn[] = {greetings, nonsense,    bad_frames,       in_doubt,
                                     stalls,    folder_gone, closed_meanwhile, gone_once};
    for (size_t i = 0; i < COUNT(fn); i++) {
        struct world w = {.dir = test_dir_new()};
        test_in_fiber(&w, false, fn[i]);
        if (file_exists(w.dir))
            test_dir_free(w.dir);
        else
            free(w.dir);
    }
}

TESTS(owner_test, cmocka_unit_test(each))
