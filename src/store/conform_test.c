/* conform_test.c - what every driver must do with a run's life, as one table of scenarios run
 * against each. Reading, listing and forgetting are in conformread_test.c. */
#include "base/vec.h"
#include "rt/fiber.h"
#include "store/front.h"
#include "store/storetest.h"

/* ---- scenarios ------------------------------------------------------------- */

static struct err *
text_add(void *ctx, const struct store_record *r)
{
    str_addf(ctx, "%lld:%d:%s:%.*s ", (long long)r->seq, r->kind, r->path, (int)r->body_len,
             (const char *)r->body);
    return NULL;
}

static void
life(struct world *w)
{
    struct store_lease l;
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT(l.epoch == 1 && l.seq == 1);
    EXPECT_OK(test_step(w->s, &l, "two"));
    struct store_record rs[] = {{.kind = 3, .path = "x", .body = "three", .body_len = 5},
                                {.kind = 4, .path = "y", .body = NULL, .body_len = 0}};
    struct store_commit c = {.lease = &l, .records = rs, .nrecords = 2, .status = 1};
    EXPECT_OK(store_commit(w->s, &c));
    EXPECT(l.seq == 4);
    EXPECT_OK(test_end(w->s, &l));
    AUTO(str_fini) struct str text = STR_INIT;
    EXPECT_OK(store_read(w->s, l.id, 1, text_add, &text));
    EXPECT(str_eq(str_c(&text), "1:1::1 2:2:a/b[1]:two 3:3:x:three 4:4:y: 5:9::end "));
    str_reset(&text);
    EXPECT_OK(store_read(w->s, l.id, 4, text_add, &text));
    EXPECT(str_eq(str_c(&text), "4:4:y: 5:9::end "));
    str_reset(&text);
    EXPECT_OK(store_read(w->s, l.id, 6, text_add, &text));
    EXPECT(text.len == 0);
    AUTO(store_run_fini) struct store_run run = {0};
    EXPECT_OK(store_get_run(w->s, l.id, &run));
    EXPECT(run.status == 10 && run.seq == 5 && !run.owner && run.ended > 0 && run.created > 0);
    EXPECT(str_eq(run.name, "test") && str_eq(run.root_id, run.id) && !run.parent_id[0]);
    EXPECT_ERR(store_claim(w->s, l.id, &l), ERR_INVALID);
    EXPECT_ERR(test_step(w->s, &l, "late"), ERR_DENIED);
}

/* A run that has ended goes on: as if it had never ended, but for its journal. */
static void
reopened(struct world *w)
{
    struct store_lease l, old;
    AUTO(store_run_fini) struct store_run run = {0}, again = {0};
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_ERR(store_reopen(w->s, l.id, &old), ERR_LIMIT); /* it is ours, and under way */
    EXPECT_OK(store_release(w->s, &l, INT64_MAX));
    EXPECT_ERR(store_reopen(w->s, l.id, &old), ERR_INVALID); /* it has not ended */
    EXPECT_OK(store_cancel(w->s, l.id, false));
    EXPECT_OK(store_claim(w->s, l.id, &l));
    old = l;
    EXPECT_OK(test_end(w->s, &l));
    EXPECT_ERR(store_claim(w->s, l.id, &l), ERR_INVALID);
    EXPECT_OK(store_reopen(w->s, l.id, &l));
    EXPECT(l.epoch == old.epoch + 1 && l.seq == old.seq + 1 && l.crc != old.crc);
    EXPECT_ERR(store_reopen(w->s, l.id, &old), ERR_LIMIT); /* once */
    EXPECT_ERR(test_step(w->s, &old, "late"), ERR_DENIED);
    EXPECT_OK(test_step(w->s, &l, "again"));
    EXPECT_OK(store_get_run(w->s, l.id, &run));
    EXPECT(run.status == 1 && run.owner && !run.ended && !run.expires_at && !run.cancel);
    size_t pruned;
    EXPECT_OK(store_prune(w->s, INT64_MAX, &pruned));
    EXPECT(pruned == 0);
    EXPECT_OK(test_end(w->s, &l));
    EXPECT_OK(store_get_run(w->s, l.id, &again));
    EXPECT(again.status == 10 && again.ended > 0 && !again.owner);
    EXPECT_ERR(store_reopen(w->s, "nowhere", &l), ERR_MISSING);
    struct store_invariants inv;
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(!inv.lost_runs && !inv.gaps && !inv.orphans && !inv.damaged);
}

static struct err *
stop_reading(void *ctx, const struct store_record *r)
{
    (void)ctx;
    return r->seq == 2 ? FAIL(ERR_CANCELLED, "enough") : NULL;
}

static void
missing(struct world *w)
{
    struct store_lease l = {.id = "NO"};
    struct store_run run;
    struct store_signal *g;
    size_t n;
    bool is_new;
    int cancel;
    AUTO(str_fini) struct str body = STR_INIT;
    EXPECT_ERR(store_claim(w->s, "NO", &l), ERR_MISSING);
    EXPECT_ERR(store_get_run(w->s, "NO", &run), ERR_MISSING);
    EXPECT_ERR(store_read(w->s, "NO", 1, text_add, &body), ERR_MISSING);
    EXPECT_ERR(store_signal(w->s, "NO", "a", "b", "", 0, &is_new), ERR_MISSING);
    EXPECT_ERR(store_signals(w->s, "NO", &g, &n), ERR_MISSING);
    EXPECT_ERR(store_take_news(w->s, &l, &g, &n, &cancel), ERR_MISSING);
    EXPECT_ERR(store_cancel(w->s, "NO", false), ERR_MISSING);
    EXPECT_ERR(store_cancel_state(w->s, "NO", &cancel), ERR_MISSING);
    EXPECT_ERR(store_get_def(w->s, "NO", &body), ERR_MISSING);
    EXPECT_ERR(test_step(w->s, &l, "x"), ERR_DENIED);
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(test_step(w->s, &l, "x"));
    EXPECT_ERR(store_read(w->s, l.id, 1, stop_reading, NULL), ERR_CANCELLED);
}

static void
create_twice(struct world *w)
{
    struct store_lease a, b;
    bool existing = true;
    struct store_def def = {"h1", "flow", "body", 4};
    struct store_new_run run = {.id = "RUN-1",
                                .def_hash = "h1",
                                .name = "n",
                                .client_key = "key",
                                .def = &def,
                                .status = 1};
    EXPECT_OK(store_create(w->s, &run, &a, &existing));
    EXPECT(!existing && a.seq == 0);
    EXPECT_OK(store_create(w->s, &run, &b, &existing));
    EXPECT(existing && str_eq(b.id, "RUN-1"));
    run.id = "RUN-2";
    EXPECT_OK(store_create(w->s, &run, &b, &existing));
    EXPECT(existing && str_eq(b.id, "RUN-1"));
    run.client_key = "other";
    EXPECT_OK(store_create(w->s, &run, &b, &existing));
    EXPECT(!existing && str_eq(b.id, "RUN-2"));
    run.id = "RUN-1";
    run.client_key = "third";
    EXPECT_OK(store_create(w->s, &run, &b, &existing));
    EXPECT(existing && str_eq(b.id, "RUN-1"));
    AUTO(str_fini) struct str body = STR_INIT;
    EXPECT_OK(store_put_def(w->s, &def));
    EXPECT_OK(store_get_def(w->s, "h1", &body));
    EXPECT(str_eq(str_c(&body), "body"));
    /* Nothing of the refused ones is there. */
    struct store_invariants inv;
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(inv.gaps == 0 && inv.damaged == 0);
}

static void
fencing(struct world *w)
{
    struct store_lease zombie, fresh;
    EXPECT_OK(test_run(w, w->s, &zombie));
    EXPECT_ERR(store_claim(w->s, zombie.id, &fresh), ERR_LIMIT);
    EXPECT_OK(store_cancel(w->s, zombie.id, true)); /* takes it away at once */
    EXPECT_ERR(test_step(w->s, &zombie, "late"), ERR_DENIED);
    EXPECT_OK(store_claim(w->s, zombie.id, &fresh));
    EXPECT(fresh.epoch == zombie.epoch + 2 && fresh.seq == 1);
    EXPECT_ERR(test_step(w->s, &zombie, "late"), ERR_DENIED);
    EXPECT_ERR(store_release(w->s, &zombie, 0), ERR_DENIED);
    EXPECT_OK(test_step(w->s, &fresh, "mine"));
    EXPECT_ERR(test_step(w->s, &zombie, "late"), ERR_DENIED);
    EXPECT(test_count(w->s, fresh.id) == 2);
    /* An old lease of the right epoch is refused as well. */
    struct store_lease old = fresh;
    EXPECT_OK(test_step(w->s, &fresh, "again"));
    EXPECT_ERR(test_step(w->s, &old, "twice"), ERR_DENIED);
    EXPECT_OK(store_release(w->s, &fresh, 0));
    EXPECT_ERR(test_step(w->s, &fresh, "released"), ERR_DENIED);
    EXPECT(test_count(w->s, fresh.id) == 3);
}

static void
wake_up(struct world *w)
{
    struct store_lease l, got[4];
    size_t n;
    bool is_new;
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT(!store_has_news(w->s, l.id));
    EXPECT_OK(store_release(w->s, &l, INT64_MAX));
    EXPECT_OK(store_claim_ready(w->s, 4, got, &n));
    EXPECT(n == 0);
    EXPECT_OK(store_signal(w->s, l.id, "go", "1", "x", 1, &is_new));
    EXPECT_OK(store_claim_ready(w->s, 4, got, &n));
    EXPECT(n == 1 && str_eq(got[0].id, l.id) && got[0].sig_seq == 1);
    l = got[0];
    /* A signal between the last look and going to sleep: it must not sleep. */
    EXPECT_OK(store_signal(w->s, l.id, "go", "2", "x", 1, &is_new));
    EXPECT(store_has_news(w->s, l.id));
    EXPECT(!store_has_news(w->s, l.id));
    EXPECT_OK(store_release(w->s, &l, INT64_MAX));
    EXPECT_OK(store_claim_ready(w->s, 4, got, &n));
    EXPECT(n == 1);
    l = got[0];
    /* Seen: it sleeps. */
    struct store_signal *g;
    size_t ng;
    int cancel;
    EXPECT_OK(store_signal(w->s, l.id, "go", "3", "x", 1, &is_new));
    EXPECT_OK(store_take_news(w->s, &l, &g, &ng, &cancel));
    store_signals_free(g, ng);
    EXPECT(ng == 3 && cancel == 0 && l.sig_seq == 3);
    EXPECT_OK(store_release(w->s, &l, INT64_MAX));
    EXPECT_OK(store_claim_ready(w->s, 4, got, &n));
    EXPECT(n == 0);
}

static void
signals(struct world *w)
{
    struct store_lease l;
    bool is_new = false;
    struct store_signal *g;
    size_t n;
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(store_signal(w->s, l.id, "zz", "k1", "one", 3, &is_new));
    EXPECT(is_new);
    EXPECT_OK(store_signal(w->s, l.id, "zz", "k1", "other", 5, &is_new));
    EXPECT(!is_new);
    EXPECT_OK(store_signal(w->s, l.id, "aa", "k1", "two", 3, &is_new));
    EXPECT(is_new);
    EXPECT_OK(store_signal(w->s, l.id, "z", "zk1", NULL, 0, &is_new));
    EXPECT(is_new);
    struct store_signal used = {.name = (char *)(uintptr_t) "aa",
                                .dedupe = (char *)(uintptr_t) "k1"};
    struct store_record r = {.kind = 2, .path = "", .body = "", .body_len = 0};
    struct store_commit c = {
        .lease = &l, .records = &r, .nrecords = 1, .status = 1, .consumed = &used, .nconsumed = 1};
    EXPECT_OK(store_commit(w->s, &c));
    EXPECT_OK(store_commit(w->s, &c)); /* consumed once: the first stays */
    EXPECT_OK(store_signals(w->s, l.id, &g, &n));
    bool right = n == 3 && str_eq(g[0].name, "zz") && str_eq(g[0].body, "one") &&
                 g[0].consumed_seq == 0 && str_eq(g[1].name, "aa") && g[1].consumed_seq == 2 &&
                 g[2].body_len == 0;
    store_signals_free(g, n);
    EXPECT(right);
    EXPECT_OK(test_end(w->s, &l));
    EXPECT_OK(store_signal(w->s, l.id, "zz", "k1", "", 0, &is_new));
    EXPECT(!is_new);
    EXPECT_ERR(store_signal(w->s, l.id, "zz", "k2", "", 0, &is_new), ERR_INVALID);
}

static void
tree_cancel(struct world *w)
{
    static const char *const tree[][2] = {
        {"ROOT", NULL}, {"KID-A", "ROOT"}, {"KID-B", "ROOT"}, {"GRAND", "KID-A"}, {"ALIEN", NULL}};
    struct store_lease l[COUNT(tree)];
    bool existing;
    int cancel;
    for (size_t i = 0; i < COUNT(tree); i++) {
        struct store_new_run run = {.id = tree[i][0],
                                    .parent_id = tree[i][1],
                                    .root_id = tree[i][1] ? "ROOT" : NULL,
                                    .def_hash = "d",
                                    .name = "n",
                                    .status = 1};
        EXPECT_OK(store_create(w->s, &run, &l[i], &existing));
    }
    EXPECT_OK(store_cancel(w->s, "KID-A", false));
    static const int after_kid[] = {0, 1, 0, 1, 0};
    for (size_t i = 0; i < COUNT(tree); i++) {
        EXPECT_OK(store_cancel_state(w->s, tree[i][0], &cancel));
        EXPECT(cancel == after_kid[i]);
        EXPECT(store_has_news(w->s, tree[i][0]) == (after_kid[i] != 0));
    }
    EXPECT_OK(test_end(w->s, &l[2]));
    EXPECT_OK(store_cancel(w->s, "ROOT", true));
    static const int after_root[] = {2, 2, 0, 2, 0};
    for (size_t i = 0; i < COUNT(tree); i++) {
        EXPECT_OK(store_cancel_state(w->s, tree[i][0], &cancel));
        EXPECT(cancel == after_root[i]);
    }
    EXPECT_OK(store_cancel(w->s, "ROOT", false));
    EXPECT_OK(store_cancel_state(w->s, "ROOT", &cancel));
    EXPECT(cancel == 2); /* never weaker */
    EXPECT_ERR(test_step(w->s, &l[0], "late"), ERR_DENIED);
    EXPECT_OK(test_step(w->s, &l[4], "fine"));
}

static void
ready(struct world *w)
{
    struct store_lease l[6], got[8];
    int64_t now = store_now_ms(w->s);
    const int64_t wake[] = {now - 10, now - 30, now + 3600000, 0, now - 20, INT64_MAX};
    size_t n;
    for (size_t i = 0; i < COUNT(l); i++) {
        EXPECT_OK(test_run(w, w->s, &l[i]));
        EXPECT_OK(store_release(w->s, &l[i], wake[i]));
    }
    EXPECT_OK(store_claim_ready(w->s, 3, got, &n));
    EXPECT(n == 3); /* the three that wait longest */
    bool seen[6] = {false};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < COUNT(l); k++)
            seen[k] |= str_eq(got[i].id, l[k].id);
        EXPECT(got[i].epoch == 2 && got[i].seq == 1);
    }
    EXPECT(seen[3] && seen[1] && seen[4]);
    EXPECT_OK(store_claim_ready(w->s, 8, got, &n));
    EXPECT(n == 1 && str_eq(got[0].id, l[0].id));
    EXPECT_OK(store_claim_ready(w->s, 8, got, &n));
    EXPECT(n == 0);
    for (size_t i = 0; i < 2; i++) { /* equally long: one after the other */
        EXPECT_OK(test_run(w, w->s, &l[i]));
        EXPECT_OK(store_release(w->s, &l[i], now - 5));
    }
    EXPECT_OK(store_claim_ready(w->s, 1, &got[0], &n));
    EXPECT(n == 1);
    EXPECT_OK(store_claim_ready(w->s, 8, &got[1], &n));
    EXPECT(n == 1 && !str_eq(got[0].id, got[1].id));
    EXPECT_OK(store_claim(w->s, l[2].id, &got[0])); /* by name: at any time */
    EXPECT_OK(test_step(w->s, &got[0], "x"));
}

static void
arguments(struct world *w)
{
    struct store_lease l, out;
    bool flag;
    char longer[1100];
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    EXPECT_OK(test_run(w, w->s, &l));
    struct store_record r = {.kind = 1, .path = NULL, .body = "", .body_len = 0};
    struct store_commit c = {.lease = &l, .records = &r, .nrecords = 1, .status = 1};
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    r.path = "p";
    c.nrecords = 5000;
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    c.nrecords = 1;
    c.status = 10; /* ended and not released */
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    c.status = 1;
    c.wake_at = -1;
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    r.body_len = (size_t)65 << 20;
    c.wake_at = 0;
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    static const char *const id[] = {"", "a b", "0123456789012345678901234567", "x'y", "\xc3\xa9"};
    for (size_t i = 0; i < COUNT(id); i++) {
        struct store_new_run run = {.id = id[i], .def_hash = "d", .name = "n", .status = 1};
        EXPECT_ERR(store_create(w->s, &run, &out, &flag), ERR_INVALID);
        EXPECT_ERR(store_claim(w->s, id[i], &out), ERR_INVALID);
    }
    struct store_new_run run = {.id = "X", .def_hash = "d", .name = longer, .status = 1};
    EXPECT_ERR(store_create(w->s, &run, &out, &flag), ERR_INVALID);
    run.name = "n";
    run.status = 0;
    EXPECT_ERR(store_create(w->s, &run, &out, &flag), ERR_INVALID);
    EXPECT_ERR(store_signal(w->s, l.id, longer, "k", "", 0, &flag), ERR_INVALID);
    EXPECT_ERR(store_signal(w->s, l.id, "n", NULL, "", 0, &flag), ERR_INVALID);
    EXPECT_ERR(store_signal(w->s, l.id, "n", "k", "", RECORD_BODY_MAX + 1, &flag), ERR_INVALID);
    struct store_def def = {"h", "n", "", RECORD_BODY_MAX + 1};
    EXPECT_ERR(store_put_def(w->s, &def), ERR_INVALID);
    r.body_len = 0;
    c.status = -1;
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    c.status = 1;
    c.nconsumed = RECORDS_MAX + 1;
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    struct store_signal used = {.name = longer + 100, .dedupe = longer + 100};
    c.consumed = &used;
    c.nconsumed = 1;
    c.nrecords = 0;
    EXPECT_ERR(store_commit(w->s, &c), ERR_INVALID);
    struct store_lease full = l;
    full.seq = RECORDS_OF_A_RUN;
    c = (struct store_commit){.lease = &full, .records = &r, .nrecords = 1, .status = 1};
    EXPECT_ERR(store_commit(w->s, &c), ERR_LIMIT);
    EXPECT_OK(test_step(w->s, &l, "after all that"));
    EXPECT(test_count(w->s, l.id) == 2);
}

struct race {
    struct world *w;
    struct store_lease lease;
    struct err *err;
    int steps;
};

static void
race_run(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < r->steps && !r->err; i++)
        r->err = test_step(r->w->s, &r->lease, "together");
}

static void
together(struct world *w)
{
    struct race race[32];
    struct scope scope;
    for (size_t i = 0; i < COUNT(race); i++) {
        race[i] = (struct race){.w = w, .steps = 8};
        EXPECT_OK(test_run(w, w->s, &race[i].lease));
    }
    race[3].lease.epoch = 7; /* fails alone */
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(race); i++)
        scope_spawn(&scope, "race", race_run, &race[i]);
    EXPECT_OK(scope_close(&scope));
    for (size_t i = 0; i < COUNT(race); i++) {
        if (i == 3)
            EXPECT_ERR(race[i].err, ERR_DENIED);
        else
            EXPECT_OK(race[i].err);
        EXPECT(test_count(w->s, race[i].lease.id) == (i == 3 ? 1 : 9));
    }
}

/* A connection broke and nobody knows whether the request was carried out: the same request again,
 * by its batch number, changes nothing and has the same answer. */
static void
ask(struct world *w, struct request *r, bool retry)
{
    request_reset(r);
    r->retry = retry;
    memcpy(r->node, w->s->node, sizeof r->node);
    r->node_inc = 1;
    r->now_ms = store_now_ms(w->s);
    store_exec(w->s, r);
}

static void
asked_again(struct world *w)
{
    struct store_record rec = {.kind = 2, .path = "p", .body = "b", .body_len = 1};
    struct store_new_run run = {.id = "AGAIN", .def_hash = "d", .name = "n", .status = 1};
    struct store_lease other; /* has nothing to do with all this */
    EXPECT_OK(test_run(w, w->s, &other));
    AUTO(request_fini)
    struct request create = {.op = OP_CREATE, .new_run = &run, .status = 1, .batch = 71};
    ask(w, &create, false);
    EXPECT(!create.err && !create.flag);
    ask(w, &create, true);
    EXPECT(!create.err && !create.flag && create.lease.epoch == 1);
    AUTO(request_fini)
    struct request commit = {
        .op = OP_COMMIT, .records = &rec, .nrecords = 1, .status = 1, .batch = 72};
    struct store_lease before = create.lease;
    for (int i = 0; i < 3; i++) {
        commit.lease = before;
        ask(w, &commit, i > 0);
        EXPECT(!commit.err && commit.lease.seq == 1);
    }
    EXPECT(test_count(w->s, "AGAIN") == 1);
    AUTO(request_fini)
    struct request release = {.op = OP_COMMIT, .release = true, .batch = 73};
    for (int i = 0; i < 2; i++) {
        release.lease = commit.lease;
        ask(w, &release, i > 0);
        EXPECT(!release.err);
    }
    AUTO(request_fini) struct request claim = {.op = OP_CLAIM, .id = "AGAIN", .batch = 74};
    for (int i = 0; i < 2; i++) {
        ask(w, &claim, i > 0);
        EXPECT(!claim.err && claim.lease.epoch == 2 && claim.lease.seq == 1);
    }
    claim.batch = 75; /* another's question is not an answer to ours */
    ask(w, &claim, true);
    EXPECT(claim.err && err_kind(claim.err) == ERR_LIMIT);
    AUTO(request_fini) struct request free_it = {.op = OP_COMMIT, .release = true, .batch = 76};
    claim.batch = 74;
    ask(w, &claim, true);
    free_it.lease = claim.lease;
    ask(w, &free_it, false);
    EXPECT(!free_it.err);
    AUTO(request_fini) struct request ready = {.op = OP_CLAIM_READY, .limit = 5, .batch = 77};
    for (int i = 0; i < 2; i++) {
        ask(w, &ready, i > 0);
        EXPECT(!ready.err && ready.number == 1);
    }
    /* A commit of a run that was taken over meanwhile is not taken for ours. */
    commit.lease = before;
    commit.batch = 78;
    rec.body = "c";
    ask(w, &commit, true);
    EXPECT(commit.err && err_kind(commit.err) == ERR_DENIED);
    EXPECT(test_count(w->s, "AGAIN") == 1);
}

struct hook {
    int64_t stop;
    bool after;
};

static bool
hook_stop(void *ctx, int64_t n, bool after)
{
    const struct hook *h = ctx;
    return !(n == h->stop && after == h->after);
}

static void
stopping(struct world *w)
{
    struct store_lease l, before;
    struct hook h = {.stop = 2, .after = false};
    EXPECT_OK(test_run(w, w->s, &l));
    before = l;
    store_on_commit(w->s, hook_stop, &h);
    EXPECT_OK(test_step(w->s, &l, "one"));
    EXPECT_ERR(test_step(w->s, &l, "not made"), ERR_CANCELLED);
    EXPECT(l.seq == 2 && test_count(w->s, l.id) == 2);
    h.stop = 3;
    h.after = true;
    EXPECT_ERR(test_step(w->s, &l, "made, not told"), ERR_CANCELLED);
    EXPECT(l.seq == 2 && test_count(w->s, l.id) == 3);
    store_on_commit(w->s, NULL, NULL);
    EXPECT_ERR(test_step(w->s, &before, "x"), ERR_DENIED);
}

static const struct scenario scenario[] = {
    {"life", life},
    {"reopened", reopened},
    {"missing", missing},
    {"create_twice", create_twice},
    {"fencing", fencing},
    {"wake_up", wake_up},
    {"signals", signals},
    {"ready", ready},
    {"tree_cancel", tree_cancel},
    {"arguments", arguments},
    {"together", together},
    {"stopping", stopping},
    {"asked_again", asked_again},
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

TESTS(conform_test, cmocka_unit_test(on_mem), cmocka_unit_test(on_mem_simulated),
      cmocka_unit_test(on_sqlite), cmocka_unit_test(on_remote))
