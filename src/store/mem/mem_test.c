/* mem_test.c - runs in RAM as several processes see them, one after the other and together; and
 * memory that is not what was written. */
#include "rt/rt.h"
#include "rt/sim.h"
#include "store/front.h"
#include "store/mem/memcore.h"
#include "store/storetest.h"

static struct err *
open_on(struct store_mem *m, struct store **ret_store)
{
    return store_open(&(struct store_opts){.mem = m}, ret_store);
}

/* Five processes in a row die with it and record nothing: then nobody picks it up by itself. */
static void
crash_loop(struct world *w)
{
    struct store_lease l, got[2];
    size_t n;
    EXPECT_OK(open_on(w->mem, &w->s));
    EXPECT_OK(test_run(w, w->s, &l));
    for (int i = 1; i <= CRASHES_MAX; i++) {
        store_close(w->s); /* with the run in its hands */
        EXPECT_OK(open_on(w->mem, &w->s));
        AUTO(store_run_fini) struct store_run run = {0};
        EXPECT_OK(store_get_run(w->s, l.id, &run));
        EXPECT(run.crashes == i && !run.owner);
        EXPECT(run.status == (i < CRASHES_MAX ? 1 : STATUS_ABNORMAL));
        EXPECT_OK(store_claim_ready(w->s, 2, got, &n));
        EXPECT(n == (i < CRASHES_MAX));
    }
    EXPECT_OK(store_claim(w->s, l.id, &l)); /* a person may */
    EXPECT_OK(test_step(w->s, &l, "better now"));
    store_close(w->s);
}

/* A process that comes takes nothing from one that lives. */
static void
together(struct world *w)
{
    struct store_lease l, other;
    struct store *second;
    EXPECT_OK(open_on(w->mem, &w->s));
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(open_on(w->mem, &second));
    EXPECT_ERR(store_claim(second, l.id, &other), ERR_LIMIT);
    EXPECT_OK(test_step(w->s, &l, "mine"));
    store_close(w->s);
    w->s = NULL;
    EXPECT_ERR(store_claim(second, l.id, &other), ERR_LIMIT); /* not reaped: nobody came since */
    store_close(second);
}

/* One that reads a damaged journal says so and takes the run out of the way; others go on. */
static void
damage(struct world *w)
{
    struct store_lease bad, good;
    EXPECT_OK(open_on(w->mem, &w->s));
    EXPECT_OK(test_run(w, w->s, &bad));
    EXPECT_OK(test_run(w, w->s, &good));
    EXPECT_OK(test_step(w->s, &bad, "to be damaged"));
    w->mem->runs.at[0]->journal.at[1].body[3]++;
    struct err *e = store_read(w->s, bad.id, 1, NULL, NULL);
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("read");
    EXPECT_ERR(e, ERR_INVALID);
    AUTO(freep)
    char *want = xasprintf("record 2 of run '%s' is damaged: its checksum is wrong; the run is "
                           "quarantined, other runs are not touched",
                           bad.id);
    EXPECT(str_eq(text, want));
    AUTO(store_run_fini) struct store_run run = {0};
    EXPECT_OK(store_get_run(w->s, bad.id, &run));
    EXPECT(run.status == STATUS_ABNORMAL && !run.owner);
    EXPECT_ERR(test_step(w->s, &bad, "late"), ERR_DENIED);
    EXPECT_OK(test_step(w->s, &good, "on"));
    EXPECT(test_count(w->s, good.id) == 2);
    struct store_invariants inv;
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(inv.damaged == 1 && !inv.gaps && !inv.orphans);
    store_close(w->s);
}

/* A value that is not what was put is told of, shown as such in a list, and counted. */
static void
value_damage(struct world *w)
{
    AUTO(str_fini) struct str body = STR_INIT;
    bool found;
    EXPECT_OK(open_on(w->mem, &w->s));
    EXPECT_OK(store_kv_put(w->s, "limits/a", "one", 3));
    EXPECT_OK(store_kv_put(w->s, "limits/b", "two", 3));
    struct mem_value *v = map_get(w->mem->values, "limits/a");
    v->body.p[1]++;
    EXPECT_TOLD(store_kv_get(w->s, "limits/a", &body, &found),
                "invalid: the value of 'limits/a' is damaged: its checksum is wrong; others are "
                "not touched");
    EXPECT(!body.len);
    EXPECT_OK(store_kv_get(w->s, "limits/b", &body, &found));
    EXPECT(found && str_eq(str_c(&body), "two"));
    struct store_invariants inv;
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(inv.damaged == 1);
    EXPECT_OK(store_kv_put(w->s, "limits/a", "new", 3)); /* what is put again is good again */
    str_reset(&body);
    EXPECT_OK(store_kv_get(w->s, "limits/a", &body, &found));
    EXPECT(found && str_eq(str_c(&body), "new"));
    store_close(w->s);
}

static bool
crash_here(void *ctx, int64_t n, bool after)
{
    (void)ctx;
    if (n == 2 && !after)
        sim_crash();
    return true;
}

/* The process dies in front of a commit: it is not made. */
static void
crash_before(struct world *w)
{
    struct store_lease l;
    EXPECT_OK(open_on(w->mem, &w->s));
    EXPECT_OK(test_run(w, w->s, &l));
    store_on_commit(w->s, crash_here, NULL);
    EXPECT_OK(test_step(w->s, &l, "one"));
    EXPECT_ERR(test_step(w->s, &l, "never"), ERR_CANCELLED);
    EXPECT_ERR(store_claim(w->s, l.id, &l), ERR_CANCELLED);
    EXPECT(w->mem->runs.at[0]->journal.len == 2);
    store_close(w->s);
}

static void
each(void **state)
{
    (void)state;
    static const struct {
        scenario_fn fn;
        bool simulated;
    } row[] = {{crash_loop, false},
               {together, false},
               {damage, false},
               {value_damage, false},
               {crash_before, true}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct world w = {.mem = store_mem_new()};
        test_in_fiber(&w, row[i].simulated, row[i].fn);
        store_mem_free(w.mem);
    }
}

TESTS(mem_test, cmocka_unit_test(each))
