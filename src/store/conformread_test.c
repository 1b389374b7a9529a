/* conformread_test.c - what every driver must do when runs are read, listed and forgotten. */
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

static const struct scenario scenario[] = {
    {"bodies", bodies},         {"long_run", long_run}, {"listing", listing},
    {"list_pages", list_pages}, {"prune", prune},
};

/* ---- drivers --------------------------------------------------------------------------------- */

static void
on_mem(void **state)
{
    (void)state;
    test_on_driver("mem", false, scenario, COUNT(scenario));
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
}

static void
on_remote(void **state)
{
    (void)state;
    test_on_driver("remote", false, scenario, COUNT(scenario));
}

TESTS(conformread_test, cmocka_unit_test(on_mem), cmocka_unit_test(on_mem_simulated),
      cmocka_unit_test(on_sqlite), cmocka_unit_test(on_remote))
