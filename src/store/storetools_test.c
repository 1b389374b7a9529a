/* storetools_test.c - the helpers of storetest.h, and the tests of ids and of bytes. */
#include "rt/file.h"
#include "store/bytes.h"
#include "store/storetest.h"
#include <stdio.h>
#include <unistd.h>

char *
test_dir_new(void)
{
    /* In memory where there is such a place: no test here depends on a real fsync. */
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char *path = xasprintf("%s/tutti-store-XXXXXX", root);
    if (!mkdtemp(path))
        abort();
    return path;
}

void
test_dir_free(char *dir)
{
    char **names = NULL;
    size_t n = 0;
    struct err *e = dir ? dir_list(dir, &names, &n) : NULL;
    err_drop(e);
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *path = path_join(dir, names[i]);
        unlink(path);
    }
    file_names_free(names, n);
    if (dir)
        rmdir(dir);
    free(dir);
}

void
test_id(struct world *w, char id[RUN_ID_LEN])
{
    unsigned char random[10] = {0};
    w->ids++;
    memcpy(random, &w->ids, sizeof w->ids);
    store_make_id(1790000000000 + w->ids, random, id);
}

struct err *
test_run(struct world *w, struct store *s, struct store_lease *ret_lease)
{
    char id[RUN_ID_LEN];
    bool existing;
    struct store_record first = {.kind = 1, .path = "", .body = "1", .body_len = 1};
    test_id(w, id);
    struct store_new_run run = {
        .id = id, .def_hash = "d1", .name = "test", .records = &first, .nrecords = 1, .status = 1};
    return store_create(s, &run, ret_lease, &existing);
}

struct err *
test_step(struct store *s, struct store_lease *lease, const char *body)
{
    struct store_record r = {.kind = 2, .path = "a/b[1]", .body = body, .body_len = strlen(body)};
    struct store_commit c = {.lease = lease, .records = &r, .nrecords = 1, .status = 1};
    return store_commit(s, &c);
}

struct err *
test_end(struct store *s, struct store_lease *lease)
{
    struct store_record r = {.kind = 9, .path = "", .body = "end", .body_len = 3};
    struct store_commit c = {
        .lease = lease, .records = &r, .nrecords = 1, .status = 10, .release = true};
    return store_commit(s, &c);
}

static struct err *
count_one(void *ctx, const struct store_record *r)
{
    int *n = ctx;
    if (r->seq != *n + 1)
        return FAIL(ERR_BUG, "record %lld came as number %d", (long long)r->seq, *n + 1);
    ++*n;
    return NULL;
}

int
test_count(struct store *s, const char *id)
{
    int n = 0;
    struct err *e = store_read(s, id, 1, count_one, &n);
    if (!e)
        return n;
    err_drop(e);
    return -1;
}

void
test_told(struct world *w, struct str *to, struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("ok");
    str_reset(to);
    if (e)
        str_addf(to, "%s%s: ", err_kind_name(err_kind(e)), err_in_doubt(e) ? ", in doubt" : "");
    const char *p = text;
    for (const char *at; w->dir && (at = strstr(p, w->dir)); p = at + strlen(w->dir))
        str_addn(to, p, (size_t)(at - p));
    str_add(to, p);
    err_free(e);
}

struct in_fiber {
    struct world *w;
    scenario_fn fn;
};

static void
in_fiber_run(void *arg)
{
    struct in_fiber *f = arg;
    f->fn(f->w);
}

void
test_in_fiber(struct world *w, bool simulated, scenario_fn fn)
{
    struct rt *rt;
    struct rt_opts opts = {.simulated = simulated, .seed = 7};
    struct in_fiber f = {w, fn};
    assert_ok(rt_open(&opts, &rt));
    rt_run(rt, in_fiber_run, &f);
    const bool failed = w->failed.len > 0;
    fprintf(stderr, "%s", str_c(&w->failed)); /* first: it may have left what rt_close asserts on */
    str_fini(&w->failed);
    rt_close(rt);
    if (failed)
        fail_msg("%s", "an expectation, shown above, did not hold");
}

static const char *wanted_driver;
static const struct scenario *scenario_now;

static void
one(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_invariants inv;
    if (str_eq(wanted_driver, "remote"))
        EXPECT_OK(store_open(&opts, &w->owner));
    EXPECT_OK(store_open(&opts, &w->s));
    if (!str_eq(store_driver(w->s), wanted_driver))
        str_addf(&w->failed, "the driver is %s\n", store_driver(w->s));
    else
        scenario_now->fn(w);
    if (w->failed.len)
        str_addf(&w->failed, "in scenario '%s' on %s\n", scenario_now->name, wanted_driver);
    else
        EXPECT_OK(store_check(w->s, &inv));
    EXPECT(w->failed.len || (!inv.gaps && !inv.damaged && !inv.orphans));
    store_close(w->s);
    store_close(w->owner);
}

void
test_on_driver(const char *driver, bool simulated, const struct scenario *list, size_t n)
{
    wanted_driver = driver;
    for (size_t i = 0; i < n; i++) {
        struct world w = {.dir = str_eq(driver, "mem") ? NULL : test_dir_new()};
        scenario_now = &list[i];
        test_in_fiber(&w, simulated, one);
        test_dir_free(w.dir);
    }
}

static void
ids(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        unsigned char fill;
        const char *want;
    } row[] = {
        {0, 0, "00000000000000000000000000"},
        {0, 0xff, "0000000000ZZZZZZZZZZZZZZZZ"},
        {281474976710655, 0xff, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
        {1469918176385, 0, "01ARYZ6S410000000000000000"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        unsigned char random[10];
        char id[RUN_ID_LEN];
        memset(random, row[i].fill, sizeof random);
        store_make_id(row[i].ms, random, id);
        assert_string_equal(id, row[i].want);
    }
}

static void
bytes_round(void **state)
{
    (void)state;
    struct str s = STR_INIT;
    put_u8(&s, 200);
    put_u32(&s, 4000000000u);
    put_i64(&s, INT64_MIN + 1);
    put_text(&s, "text");
    put_text(&s, NULL);
    put_blob(&s, "a\0b", 3);
    put_blob(&s, "", 0);
    struct bytes_in in = bytes_in(s.p, s.len);
    size_t n;
    assert_int_equal(get_u8(&in), 200);
    assert_int_equal(get_u32(&in), 4000000000u);
    assert_true(get_i64(&in) == INT64_MIN + 1);
    assert_string_equal(get_text(&in), "text");
    assert_null(get_text(&in));
    assert_memory_equal(get_blob(&in, &n), "a\0b", 3);
    assert_int_equal(n, 3);
    assert_non_null(get_blob(&in, &n));
    assert_int_equal(n, 0);
    assert_true(bytes_in_done(&in));
    /* Every shorter input is bad, and never read past. */
    for (size_t cut = 0; cut < s.len; cut++) {
        char *copy = xmalloc(cut + 1);
        memcpy(copy, s.p, cut);
        in = bytes_in(copy, cut);
        (void)get_u8(&in), (void)get_u32(&in), (void)get_i64(&in);
        (void)get_text(&in), (void)get_text(&in);
        (void)get_blob(&in, &n), (void)get_blob(&in, &n);
        assert_false(bytes_in_done(&in));
        free(copy);
    }
    str_fini(&s);
}

static void
bytes_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } row[] = {
        {"\xfe\xff\xff\xff", 4}, /* longer than there is */
        {"\x03\0\0\0abc", 7},    /* no NUL behind it */
        {"\x03\0\0\0abcd", 8},   /* something else behind it */
        {"\x03\0\0\0a\0c\0", 8}, /* a NUL inside a text */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct bytes_in in = bytes_in(row[i].bytes, row[i].n);
        assert_null(get_text(&in));
        assert_true(in.bad);
        assert_int_equal(get_u32(&in), 0);
    }
    struct bytes_in in = bytes_in("\xff\xff\0\0abcdef", 10);
    assert_int_equal(get_count(&in, 4), 0);
    assert_true(in.bad);
}

TESTS(storetools_test, cmocka_unit_test(ids), cmocka_unit_test(bytes_round),
      cmocka_unit_test(bytes_hostile))
