/* conformread_test.c - what every driver must do when runs are read, listed and forgotten. */
#include "store/front.h"
#include "store/storetest.h"

static struct err *
text_add(void *ctx, const struct store_record *r)
{
    str_addf(ctx, "%lld:%d:%s:%.*s ", (long long)r->seq, r->kind, r->path, (int)r->body_len,
             (const char *)r->body);
    return NULL;
}

struct sizes {
    const size_t *want;
    size_t n;
    bool wrong;
};

static struct err *
size_check(void *ctx, const struct store_record *r)
{
    struct sizes *z = ctx;
    const char *p = r->body;
    z->wrong |= r->body_len != z->want[z->n % 8];
    for (size_t i = 0; i < r->body_len; i++)
        z->wrong |= p[i] != (char)('a' + i % 7);
    z->n++;
    return NULL;
}

static void
bodies(struct world *w)
{
    static const size_t len[8] = {0, 1, 4095, 4096, 4097, 100000, 1 << 20, 100000};
    struct store_lease l;
    bool existing;
    char *text = xmalloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        text[i] = (char)('a' + i % 7);
    struct store_new_run run = {.id = "B", .def_hash = "d", .name = "n", .status = 1};
    struct err *e = store_create(w->s, &run, &l, &existing);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT(len) && !e; i++) {
            struct store_record r = {.kind = 1, .path = "p", .body = text, .body_len = len[i]};
            struct store_commit c = {.lease = &l, .records = &r, .nrecords = 1, .status = 1};
            e = store_commit(w->s, &c);
        }
    }
    free(text);
    EXPECT_OK(e);
    struct sizes z = {.want = len};
    EXPECT_OK(store_read(w->s, "B", 1, size_check, &z));
    EXPECT(z.n == 16 && !z.wrong);
}

static void
long_run(struct world *w)
{
    struct store_lease l;
    char body[200];
    EXPECT_OK(test_run(w, w->s, &l));
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    struct store_record *rs = xcalloc(1500, sizeof *rs);
    for (size_t i = 0; i < 1500; i++)
        rs[i] = (struct store_record){.kind = 2, .path = "p", .body = body, .body_len = 199};
    struct store_commit c = {.lease = &l, .records = rs, .nrecords = 1500, .status = 1};
    struct err *e = store_commit(w->s, &c);
    if (!e)
        e = store_commit(w->s, &c);
    for (size_t i = 0; i < 1500 && !e; i++)
        rs[i].path = "q";
    if (!e)
        e = store_commit(w->s, &c);
    free(rs);
    EXPECT_OK(e);
    EXPECT(l.seq == 4501);
    EXPECT(test_count(w->s, l.id) == 4501);
    AUTO(str_fini) struct str text = STR_INIT;
    EXPECT_OK(store_read(w->s, l.id, 4501, text_add, &text));
    EXPECT(str_starts(str_c(&text), "4501:2:q:xxx"));
}

static void
one_record(struct world *w)
{
    AUTO(str_fini) struct str text = STR_INIT;
    struct store_lease l;
    EXPECT_OK(test_run(w, w->s, &l));
    struct store_record rs[3] = {{.kind = 2, .path = "p", .body = "one", .body_len = 3},
                                 {.kind = 3, .path = "q", .body = "", .body_len = 0},
                                 {.kind = 4, .path = "", .body = "three", .body_len = 5}};
    struct store_commit c = {.lease = &l, .records = rs, .nrecords = 3, .status = 1};
    EXPECT_OK(store_commit(w->s, &c));
    for (int64_t seq = 4; seq >= 2; seq--)
        EXPECT_OK(store_read_one(w->s, l.id, seq, text_add, &text));
    EXPECT(strcmp(str_c(&text), "4:4::three 3:3:q: 2:2:p:one ") == 0);
    EXPECT_ERR(store_read_one(w->s, l.id, 5, text_add, &text), ERR_MISSING);
    EXPECT_ERR(store_read_one(w->s, l.id, 0, text_add, &text), ERR_MISSING);
    EXPECT_ERR(store_read_one(w->s, "nobody", 1, text_add, &text), ERR_MISSING);
}

static struct err *
list_add(void *ctx, const struct store_run *r)
{
    str_addf(ctx, "%s ", r->id);
    return NULL;
}

static void
listing(struct world *w)
{
    static const struct {
        const char *id, *name;
        bool ends;
    } run[] = {{"A1", "x", true}, {"A2", "y", false}, {"AB1", "x", false}, {"C", "x", true}};
    for (size_t i = 0; i < COUNT(run); i++) {
        struct store_lease l;
        bool existing;
        struct store_new_run n = {
            .id = run[i].id, .def_hash = "d", .name = run[i].name, .status = 1};
        EXPECT_OK(store_create(w->s, &n, &l, &existing));
        if (run[i].ends)
            EXPECT_OK(test_end(w->s, &l));
    }
    static const struct {
        struct store_filter f;
        const char *want;
    } row[] = {
        {{0}, "C AB1 A2 A1 "},
        {{.live_only = true}, "AB1 A2 "},
        {{.status = 10}, "C A1 "},
        {{.name = "x"}, "C AB1 A1 "},
        {{.name = "x", .live_only = true}, "AB1 "},
        {{.limit = 2}, "C AB1 "},
        {{.created_before = 1}, ""},
        {{.created_before = INT64_MAX}, "C AB1 A2 A1 "},
        {{.name = "nobody"}, ""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str text = STR_INIT;
        EXPECT_OK(store_list(w->s, &row[i].f, list_add, &text));
        EXPECT(str_eq(str_c(&text), row[i].want));
    }
    AUTO(store_run_fini) struct store_run got = {0};
    EXPECT_ERR(store_get_run(w->s, "A", &got), ERR_INVALID);
    EXPECT_OK(store_get_run(w->s, "AB", &got));
    EXPECT(str_eq(got.id, "AB1"));
    store_run_fini(&got);
    EXPECT_OK(store_get_run(w->s, "A1", &got));
    EXPECT(str_eq(got.id, "A1"));
}

static void
list_pages(struct world *w)
{
    struct store_lease l;
    for (int i = 0; i < 1203; i++)
        EXPECT_OK(test_run(w, w->s, &l));
    AUTO(str_fini) struct str text = STR_INIT;
    struct store_filter all = {0}, some = {.limit = 1100};
    EXPECT_OK(store_list(w->s, &all, list_add, &text));
    EXPECT(text.len == 1203 * RUN_ID_LEN);
    str_reset(&text);
    EXPECT_OK(store_list(w->s, &some, list_add, &text));
    EXPECT(text.len == 1100 * RUN_ID_LEN);
}

static void
prune(struct world *w)
{
    struct store_lease live, expired, old, kept;
    struct store_run run;
    bool is_new;
    size_t n;
    int64_t now = store_now_ms(w->s);
    struct store_record r = {.kind = 9, .path = "", .body = "e", .body_len = 1};
    EXPECT_OK(test_run(w, w->s, &live));
    EXPECT_OK(test_run(w, w->s, &expired));
    EXPECT_OK(test_run(w, w->s, &old));
    EXPECT_OK(test_run(w, w->s, &kept));
    EXPECT_OK(store_signal(w->s, old.id, "a", "b", "c", 1, &is_new));
    struct store_commit c = {.lease = &expired,
                             .records = &r,
                             .nrecords = 1,
                             .status = 10,
                             .release = true,
                             .expires_at = now - 1};
    EXPECT_OK(store_commit(w->s, &c));
    c.lease = &kept;
    c.expires_at = now + 1000000;
    EXPECT_OK(store_commit(w->s, &c));
    for (int i = 0; i < 1200; i++) /* more records than one step deletes */
        EXPECT_OK(test_step(w->s, &old, "x"));
    EXPECT_OK(store_prune(w->s, 0, &n));
    EXPECT(n == 1);
    EXPECT_ERR(store_get_run(w->s, expired.id, &run), ERR_MISSING);
    EXPECT_OK(test_end(w->s, &old));
    EXPECT_OK(store_prune(w->s, 0, &n));
    EXPECT(n == 0);
    EXPECT_OK(store_prune(w->s, store_now_ms(w->s) + 1, &n));
    EXPECT(n == 2);
    EXPECT_ERR(store_get_run(w->s, old.id, &run), ERR_MISSING);
    EXPECT_ERR(store_get_run(w->s, kept.id, &run), ERR_MISSING);
    EXPECT_OK(test_step(w->s, &live, "still"));
    EXPECT(test_count(w->s, live.id) == 2);
    struct store_invariants inv;
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(!inv.lost_runs && !inv.gaps && !inv.orphans && !inv.damaged);
}

/* ---- what the owner does by itself ----------------------------------------------------------- */

/* In the process that has the folder; an hour from now, if need be. */
static struct err *
by_itself(struct world *w, struct request *r, int64_t later_ms)
{
    struct store *s = w->owner ? w->owner : w->s;
    r->now_ms = store_now_ms(s) + later_ms;
    store_exec(s, r);
    return STEAL(r->err);
}

static void
housekeeping(struct world *w)
{
    struct store_new_run new_run = {.id = "HAUNTED", .def_hash = "d", .name = "n", .status = 1};
    struct store_lease l, ended;
    AUTO(store_run_fini) struct store_run run = {0};
    EXPECT_OK(test_run(w, w->s, &ended));
    EXPECT_OK(test_end(w->s, &ended));
    AUTO(request_fini)
    struct request create = {
        .op = OP_CREATE, .new_run = &new_run, .status = 1, .node = "ghost", .node_inc = 1};
    EXPECT_OK(by_itself(w, &create, 0));
    AUTO(request_fini) struct request tick = {.op = OP_TICK};
    EXPECT_OK(by_itself(w, &tick, 0));
    EXPECT_ERR(store_claim(w->s, "HAUNTED", &l), ERR_LIMIT);
    AUTO(request_fini) struct request reap = {.op = OP_REAP, .id = "ghost"};
    EXPECT_OK(by_itself(w, &reap, 0));
    EXPECT_OK(store_get_run(w->s, "HAUNTED", &run));
    EXPECT(run.crashes == 1 && !run.owner && run.status == 1);
    EXPECT_OK(store_claim(w->s, "HAUNTED", &l));
    /* Out of everybody's hands; what has ended, or is not there, is left alone. */
    const char *const ids[] = {"HAUNTED", ended.id, "NOWHERE"};
    for (size_t i = 0; i < COUNT(ids); i++) {
        AUTO(request_fini) struct request r = {.op = OP_QUARANTINE, .id = ids[i]};
        EXPECT_OK(by_itself(w, &r, 0));
    }
    store_run_fini(&run);
    EXPECT_OK(store_get_run(w->s, "HAUNTED", &run));
    EXPECT(run.status == STATUS_ABNORMAL && !run.owner);
    EXPECT_ERR(test_step(w->s, &l, "late"), ERR_DENIED);
    store_run_fini(&run);
    EXPECT_OK(store_get_run(w->s, ended.id, &run));
    EXPECT(run.status == 10);
}

/* A definition outlives the runs that have it, and nothing else; a new one has an hour to be used.
 */
static void
definitions(struct world *w)
{
    static const struct store_def used = {"used", "n", "one", 3},
                                  unused = {"unused", "n", "two", 3};
    struct store_lease l, keyed;
    bool existing;
    size_t n;
    AUTO(str_fini) struct str body = STR_INIT;
    struct store_record many[20];
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (struct store_record){.kind = 1, .path = "p", .body = "b", .body_len = 1};
    struct store_new_run run = {.id = "LIVES",
                                .def_hash = "used",
                                .name = "n",
                                .def = &used,
                                .records = many,
                                .nrecords = COUNT(many),
                                .status = 1};
    EXPECT_OK(store_create(w->s, &run, &l, &existing));
    EXPECT(l.seq == 20 && test_count(w->s, "LIVES") == 20);
    EXPECT_OK(store_put_def(w->s, &unused));
    struct store_new_run key = {
        .id = "K1", .def_hash = "d", .name = "n", .client_key = "key", .status = 1};
    EXPECT_OK(store_create(w->s, &key, &keyed, &existing));
    EXPECT_OK(test_end(w->s, &keyed));
    EXPECT_OK(store_prune(w->s, store_now_ms(w->s) + 1, &n));
    EXPECT(n == 1);
    EXPECT_OK(store_get_def(w->s, "used", &body));
    EXPECT_OK(store_get_def(w->s, "unused", &body));
    AUTO(request_fini) struct request prune = {.op = OP_PRUNE};
    EXPECT_OK(by_itself(w, &prune, DEF_GRACE_MS + 1000));
    EXPECT_OK(store_get_def(w->s, "used", &body));
    EXPECT_ERR(store_get_def(w->s, "unused", &body), ERR_MISSING);
    EXPECT(str_eq(str_c(&body), "onetwoone"));
    key.id = "K2"; /* the key is free again */
    EXPECT_OK(store_create(w->s, &key, &keyed, &existing));
    EXPECT(!existing && str_eq(keyed.id, "K2"));
}

static void
numbers(struct world *w)
{
    struct store_lease l;
    struct store_numbers before, after;
    store_numbers(w->s, &before);
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(test_step(w->s, &l, "seven b"));
    EXPECT_OK(store_release(w->s, &l, 0));
    store_numbers(w->s, &after);
    EXPECT(after.commits - before.commits == 3 && after.records - before.records == 2);
    bool remote = str_eq(store_driver(w->s), "remote"); /* it knows no more */
    EXPECT(after.bytes - before.bytes == (remote ? 0 : 8));
    EXPECT(after.batches - before.batches == (remote ? 0 : 3));
}

/* More than one answer can hold: said, and nothing else is the worse for it. */
static void
large_signals(struct world *w)
{
    struct store_lease l;
    struct store_signal *g;
    size_t n, size = PAGE_LIMIT / 2;
    bool is_new;
    int cancel = -1;
    EXPECT_OK(test_run(w, w->s, &l));
    char *body = xcalloc(1, size);
    struct err *e = store_signal(w->s, l.id, "n", "1", body, size, &is_new);
    if (!e)
        e = store_signal(w->s, l.id, "n", "2", body, size, &is_new);
    free(body);
    EXPECT_OK(e);
    EXPECT_ERR(store_signals(w->s, l.id, &g, &n), ERR_LIMIT);
    EXPECT_OK(store_cancel_state(w->s, l.id, &cancel));
    EXPECT(cancel == 0);
    EXPECT_OK(test_step(w->s, &l, "on"));
}

static const struct scenario scenario[] = {
    {"bodies", bodies},
    {"long_run", long_run},
    {"one_record", one_record},
    {"listing", listing},
    {"list_pages", list_pages},
    {"prune", prune},
    {"housekeeping", housekeeping},
    {"definitions", definitions},
    {"numbers", numbers},
};

/* Costs a second: once for each way of keeping signals. */
static const struct scenario costly[] = {{"large_signals", large_signals}};

/* ---- drivers --------------------------------------------------------------------------------- */

static void
on_mem(void **state)
{
    (void)state;
    test_on_driver("mem", false, scenario, COUNT(scenario));
    test_on_driver("mem", false, costly, COUNT(costly));
}

static void
on_mem_simulated(void **state)
{
    (void)state;
    test_on_driver("mem", true, scenario, COUNT(scenario));
}

static void
on_sqlite(void **state)
{
    (void)state;
    test_on_driver("sqlite", false, scenario, COUNT(scenario));
    test_on_driver("sqlite", false, costly, COUNT(costly));
}

static void
on_remote(void **state)
{
    (void)state;
    test_on_driver("remote", false, scenario, COUNT(scenario));
}

TESTS(conformread_test, cmocka_unit_test(on_mem), cmocka_unit_test(on_mem_simulated),
      cmocka_unit_test(on_sqlite), cmocka_unit_test(on_remote))
