/* process_test.c - several processes on one folder: kill -9 of the owner and of its guests, taking
 * over, reaping, quarantine, hostile peers. Processes are forks of this one, made while it has
 * neither threads nor a runtime. */
#include "base/vec.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/stream.h"
#include "store/front.h"
#include "store/remote/wire.h"
#include "store/storetest.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
/* Our forks start with one thread, the sanitizer's own aside. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *
__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

/* ---- children -------------------------------------------------------------- */

struct child {
    pid_t pid;
    int from; /* what it writes */
};
struct told { /* by a child that commits: this much was acknowledged */
    char id[RUN_ID_LEN];
    int64_t seq;
};

static struct world *child_world;
static int child_to;

static void
say(const struct store_lease *l)
{
    struct told t = {.seq = l->seq};
    memcpy(t.id, l->id, sizeof t.id);
    if (write(child_to, &t, sizeof t) != (ssize_t)sizeof t)
        _exit(1);
}

/* Holds one run with two records and does nothing more. */
static void
child_holds(struct world *w)
{
    struct store_lease l;
    struct store_opts opts = {.dir = w->dir};
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(test_step(w->s, &l, "held"));
    say(&l);
    EXPECT_OK(fiber_sleep(60000));
}

static void
loop_run(void *arg)
{
    struct world *w = arg;
    struct store_lease l;
    EXPECT_OK(test_run(w, w->s, &l));
    for (;;) {
        say(&l);
        EXPECT_OK(test_step(w->s, &l, "on and on"));
    }
}

/* Eight runs that commit as fast as they can. */
static void
child_commits(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct scope scope;
    EXPECT_OK(store_open(&opts, &w->s));
    scope_open(&scope, DEADLINE_NONE);
    for (int i = 0; i < 8; i++)
        scope_spawn(&scope, "loop", loop_run, w);
    EXPECT_OK(scope_close(&scope));
}

/* Claims the run named in the folder's file and waits to be killed. */
static void
child_claims(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l;
    AUTO(freep) char *path = path_join(w->dir, "which");
    AUTO(str_fini) struct str id = STR_INIT;
    EXPECT_OK(file_read(path, 100, &id));
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_OK(store_claim(w->s, str_c(&id), &l));
    say(&l);
    EXPECT_OK(fiber_sleep(60000));
}

static void
child_main(void *arg)
{
    scenario_fn fn;
    memcpy(&fn, arg, sizeof fn);
    fn(child_world);
}

static struct child
child_start(struct world *w, unsigned ids, scenario_fn fn)
{
    int ends[2];
    if (pipe(ends))
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct rt *rt;
        struct rt_opts opts = {0};
        struct world mine = {.dir = w->dir, .ids = ids};
        close(ends[0]);
        child_to = ends[1];
        child_world = &mine;
        struct err *e = rt_open(&opts, &rt);
        if (!e)
            rt_run(rt, child_main, &fn);
        fprintf(stderr, "child: %s", str_c(&mine.failed));
        _exit(1);
    }
    close(ends[1]);
    return (struct child){pid, ends[0]};
}

static void
child_kill(struct child *c)
{
    int status;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, &status, 0);
    c->pid = 0;
}

static void
child_end(struct child *c)
{
    if (c->pid)
        child_kill(c);
    close(c->from);
}

static bool
child_heard(const struct child *c, struct told *t)
{
    return read(c->from, t, sizeof *t) == (ssize_t)sizeof *t;
}

/* ---- scenarios ------------------------------------------------------------- */

static struct child first, second;
static struct told of_first, of_second;

static bool
becomes(struct store *s, const char *driver)
{
    for (int i = 0; i < 500 && !str_eq(store_driver(s), driver); i++)
        err_drop(fiber_sleep(10));
    return str_eq(store_driver(s), driver);
}

static void
owner_killed(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l, stolen;
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT(str_eq(store_driver(w->s), "remote"));
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(test_step(w->s, &l, "before"));
    EXPECT_ERR(store_claim(w->s, of_first.id, &stolen), ERR_LIMIT);
    child_kill(&first);
    EXPECT_OK(test_step(w->s, &l, "after")); /* the caller notices nothing */
    EXPECT(becomes(w->s, "sqlite"));
    EXPECT(test_count(w->s, l.id) == 3);
    /* What the dead one was running is free, and a crash was counted. */
    EXPECT_OK(store_claim(w->s, of_first.id, &stolen));
    EXPECT(stolen.seq == of_first.seq);
    AUTO(store_run_fini) struct store_run run = {0};
    EXPECT_OK(store_get_run(w->s, of_first.id, &run));
    EXPECT(run.crashes == 1);
    EXPECT_OK(test_step(w->s, &stolen, "progress"));
    store_run_fini(&run);
    EXPECT_OK(store_get_run(w->s, of_first.id, &run));
    EXPECT(run.crashes == 0);
}

static void
guest_killed(struct world *w)
{
    struct store_lease l = {0};
    struct err *e = NULL;
    child_kill(&second);
    /* The owner reaps it as soon as it sees the socket close. */
    struct store_opts opts = {.dir = w->dir};
    EXPECT_OK(store_open(&opts, &w->s));
    for (int i = 0; i < 300; i++) {
        e = store_claim(w->s, of_second.id, &l);
        if (!e || err_kind(e) != ERR_LIMIT)
            break;
        err_free(e);
        e = NULL;
        err_drop(fiber_sleep(10));
    }
    EXPECT_OK(e);
    EXPECT(l.seq == of_second.seq);
    EXPECT_ERR(store_claim(w->s, of_first.id, &l), ERR_LIMIT); /* the owner lives on */
}

/* Three processes: when the owner dies one of the others takes over and the third goes on with it,
 * its leases as valid as before. */
static void
three(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store *s2;
    struct store_lease a, b;
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_OK(store_open(&opts, &s2));
    w->owner = s2; /* closed by the frame below */
    EXPECT(str_eq(store_driver(w->s), "remote") && str_eq(store_driver(s2), "remote"));
    EXPECT_OK(test_run(w, w->s, &a));
    EXPECT_OK(test_run(w, s2, &b));
    child_kill(&first);
    for (int i = 0; i < 20; i++) {
        EXPECT_OK(test_step(w->s, &a, "on"));
        EXPECT_OK(test_step(s2, &b, "on"));
    }
    bool w_owns = str_eq(store_driver(w->s), "sqlite");
    EXPECT(str_eq(store_driver(s2), w_owns ? "remote" : "sqlite"));
    EXPECT(test_count(s2, a.id) == 21 && test_count(w->s, b.id) == 21);
    /* A peaceful end of the new owner is the same for the one that stays. */
    struct store *stays = w_owns ? s2 : w->s;
    struct store_lease *lease = w_owns ? &b : &a;
    store_close(w_owns ? w->s : s2);
    if (w_owns)
        w->s = NULL;
    else
        w->owner = NULL;
    EXPECT_OK(test_step(stays, lease, "alone"));
    EXPECT(becomes(stays, "sqlite"));
    EXPECT(test_count(stays, lease->id) == 22);
}

static void
framed(struct world *w, scenario_fn fn)
{
    fn(w);
    store_close(w->s);
    store_close(w->owner);
    w->s = w->owner = NULL;
}

static scenario_fn now_testing;
static void
now(struct world *w)
{
    framed(w, now_testing);
}

static void
with_children(unsigned n, scenario_fn what, scenario_fn fn)
{
    struct world w = {.dir = test_dir_new(), .ids = 100};
    first = child_start(&w, 0, what);
    assert_true(child_heard(&first, &of_first));
    if (n > 1) {
        second = child_start(&w, 50, what);
        assert_true(child_heard(&second, &of_second));
    }
    now_testing = fn;
    test_in_fiber(&w, false, now);
    child_end(&first);
    if (n > 1)
        child_end(&second);
    test_dir_free(w.dir);
}

static void
taking_over(void **state)
{
    (void)state;
    with_children(1, child_holds, owner_killed);
    with_children(2, child_holds, guest_killed);
    with_children(1, child_holds, three);
}

/* ---- kill -9 under load ---------------------------------------------------- */

#define RUNS 8
static struct told acked[RUNS];

static void
acked_are_there(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_invariants inv;
    EXPECT_OK(store_open(&opts, &w->s));
    for (int i = 0; i < RUNS && acked[i].seq; i++) {
        int n = test_count(w->s, acked[i].id);
        EXPECT(n >= acked[i].seq);     /* nothing that was acknowledged is lost */
        EXPECT(n <= acked[i].seq + 1); /* and nothing is there twice: one commit was in doubt */
    }
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(!inv.gaps && !inv.damaged && !inv.orphans && !inv.lost_runs);
}

static void
note(const struct told *t)
{
    int i = 0;
    while (i < RUNS && acked[i].seq && !str_eq(acked[i].id, t->id))
        i++;
    assert_true(i < RUNS);
    acked[i] = *t;
}

static void
killed_under_load(void **state)
{
    (void)state;
    struct world w = {.dir = test_dir_new()};
    for (unsigned round = 0; round < 15; round++) {
        struct told t;
        memset(acked, 0, sizeof acked);
        struct child c = child_start(&w, round * 10 + 1000, child_commits);
        /* A different place every time: so many answers, then the axe. */
        for (unsigned i = 0; i < 9 + round * 37 && child_heard(&c, &t); i++)
            note(&t);
        child_kill(&c);
        while (child_heard(&c, &t)) /* said before it died */
            note(&t);
        child_end(&c);
        now_testing = acked_are_there;
        test_in_fiber(&w, false, now);
    }
    test_dir_free(w.dir);
}

/* ---- quarantine ------------------------------------------------------------ */

static struct told which;

static void
make_one(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l;
    AUTO(freep) char *path = path_join(w->dir, "which");
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(store_release(w->s, &l, 0));
    EXPECT_OK(file_write(path, l.id, strlen(l.id), 0600));
    memcpy(which.id, l.id, sizeof l.id);
}

static void
is_quarantined(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l;
    AUTO(store_run_fini) struct store_run run = {0};
    size_t n;
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_OK(store_get_run(w->s, which.id, &run));
    EXPECT(run.crashes == CRASHES_MAX && run.status == STATUS_ABNORMAL && !run.owner);
    EXPECT_OK(store_claim_ready(w->s, 1, &l, &n));
    EXPECT(n == 0);                             /* nobody picks it up by itself */
    EXPECT_OK(store_claim(w->s, which.id, &l)); /* a person may */
    EXPECT_OK(test_step(w->s, &l, "better now"));
    store_run_fini(&run);
    EXPECT_OK(store_get_run(w->s, which.id, &run));
    EXPECT(run.crashes == 0 && run.status == 1);
}

static void
crash_loop(void **state)
{
    (void)state;
    struct world w = {.dir = test_dir_new()};
    now_testing = make_one;
    test_in_fiber(&w, false, now);
    for (int i = 0; i < CRASHES_MAX; i++) {
        struct told t;
        struct child c = child_start(&w, 0, child_claims);
        assert_true(child_heard(&c, &t));
        child_end(&c);
    }
    now_testing = is_quarantined;
    test_in_fiber(&w, false, now);
    test_dir_free(w.dir);
}

/* ---- reading only, long paths ---------------------------------------------- */

static void
read_only(struct world *w)
{
    struct store_opts opts = {.dir = w->dir, .read_only = true}, full = {.dir = w->dir};
    struct store_lease l, other;
    EXPECT_ERR(store_open(&opts, &w->s), ERR_MISSING);
    EXPECT_OK(store_open(&full, &w->owner));
    EXPECT_OK(test_run(w, w->owner, &l));
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT(str_eq(store_driver(w->s), "remote"));
    EXPECT(test_count(w->s, l.id) == 1);
    EXPECT_ERR(test_run(w, w->s, &other), ERR_DENIED);
    store_close(w->s);
    EXPECT_OK(test_step(w->owner, &l, "two"));
    store_close(w->owner);
    w->owner = NULL;
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT(str_eq(store_driver(w->s), "sqlite"));
    EXPECT(test_count(w->s, l.id) == 2);
    EXPECT_ERR(test_step(w->s, &l, "three"), ERR_DENIED);
}

static void
deep_folder(struct world *w)
{
    AUTO(freep) char *deep = xasprintf("%s/%0100d/%0100d", w->dir, 1, 2);
    struct store_opts opts = {.dir = deep};
    struct store_lease l;
    EXPECT_OK(store_open(&opts, &w->owner));
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT(str_eq(store_driver(w->s), "remote"));
    EXPECT_OK(test_run(w, w->s, &l));
    store_close(w->s);
    store_close(w->owner);
    w->s = w->owner = NULL;
    AUTO(freep) char *up = path_dir(deep);
    AUTO(freep) char *socket = path_join(deep, "control.sock");
    EXPECT(!file_exists(socket));
    test_dir_free(STEAL(deep));
    rmdir(up);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static struct err *
tick(struct store *s, int64_t at_ms, const char *renewed)
{
    AUTO(request_fini)
    struct request r = {.op = OP_TICK, .names = &renewed, .nnames = renewed ? 1 : 0};
    r.now_ms = at_ms;
    store_exec(s, &r);
    if (!r.err && r.number)
        return FAIL(ERR_BUG, "the sweep found %lld orphans", (long long)r.number);
    return STEAL(r.err);
}

/* A guest whose socket was never seen to close (its owner died first): its lease runs out. */
static void
leases(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l;
    struct store_new_run run = {.id = "HAUNTED", .def_hash = "d", .name = "n", .status = 1};
    EXPECT_OK(store_open(&opts, &w->s));
    AUTO(request_fini)
    struct request r = {
        .op = OP_CREATE, .new_run = &run, .status = 1, .node = "ghost", .node_inc = 1};
    int64_t now_ms = r.now_ms = store_now_ms(w->s) + 1000000; /* ahead of the real clock */
    store_exec(w->s, &r);
    EXPECT(!r.err && !r.flag);
    EXPECT_OK(tick(w->s, now_ms + 1000, NULL));
    EXPECT_ERR(store_claim(w->s, "HAUNTED", &l), ERR_LIMIT);
    EXPECT_OK(tick(w->s, now_ms + 10000, "ghost")); /* it is connected: renewed */
    EXPECT_OK(tick(w->s, now_ms + 10000 + LEASE_MS, NULL));
    EXPECT_ERR(store_claim(w->s, "HAUNTED", &l), ERR_LIMIT);
    EXPECT_OK(tick(w->s, now_ms + 10001 + LEASE_MS, NULL));
    EXPECT_OK(store_claim(w->s, "HAUNTED", &l));
    EXPECT(l.epoch == 3); /* created, reaped, claimed: the ghost is fenced */
}

/* ---- hostile peers --------------------------------------------------------- */

static void
hello_put(struct str *s, uint32_t version)
{
    frame_begin(s, FRAME_HELLO, 0);
    put_text(s, CONTROL_MAGIC);
    put_u32(s, version);
    put_text(s, "evil");
    put_text(s, "evil");
    put_u8(s, 0);
    frame_end(s);
}

/* Sends the bytes and reads until the owner hangs up or has answered something. */
static struct err *
poke(const char *path, const struct str *bytes)
{
    struct stream *s;
    bool end = false;
    AUTO(str_fini) struct str in = STR_INIT;
    PASS(stream_connect(path, rt_after(2000), &s));
    struct err *e = stream_write(s, bytes->p, bytes->len, rt_after(2000));
    if (!e)
        e = stream_read(s, rt_after(300), &in, &end);
    err_drop(e); /* reset, ended, silent: all the same to us */
    stream_close(s);
    return NULL;
}

static void
hostile(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct store_lease l;
    AUTO(freep) char *path = path_join(w->dir, "control.sock");
    EXPECT_OK(store_open(&opts, &w->s));
    EXPECT_OK(test_run(w, w->s, &l));
    static const char *const junk[] = {"GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff", "\x09",
                                       "\x09\0\0\0\x04\0\0\0\0\0\0\0\0"};
    static const size_t junk_len[] = {18, 4, 1, 13};
    for (size_t i = 0; i < COUNT(junk); i++) {
        AUTO(str_fini) struct str bytes = STR_INIT;
        str_addn(&bytes, junk[i], junk_len[i]);
        EXPECT_OK(poke(path, &bytes));
    }
    for (uint32_t seed = 1; seed < 200; seed++) {
        AUTO(str_fini) struct str bytes = STR_INIT, frame = STR_INIT;
        struct request r = {.op = (enum op)(seed % OP_COUNT), .id = l.id, .name = "n", .limit = 5};
        hello_put(&bytes, seed % 9 == 0 ? 99 : CONTROL_VERSION);
        frame_begin(&frame, FRAME_REQUEST, seed);
        r.lease = l;
        r.dedupe = "d";
        request_put(&frame, &r);
        frame_end(&frame);
        /* One byte of the request is changed, or its end is missing. */
        uint64_t x = seed * 0x9e3779b97f4a7c15u;
        if (seed % 3)
            frame.p[4 + (x >> 20) % (frame.len - 4)] = (char)(x >> 50);
        else
            frame.len = frame.len / 2;
        str_addn(&bytes, frame.p, frame.len);
        EXPECT_OK(poke(path, &bytes));
    }
    /* It still serves. (A peer may do what the protocol allows, such as cancelling our run.) */
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(test_step(w->s, &l, "alive"));
    EXPECT(test_count(w->s, l.id) == 2);
}

static void
alone(scenario_fn fn)
{
    struct world w = {.dir = test_dir_new()};
    now_testing = fn;
    test_in_fiber(&w, false, now);
    test_dir_free(w.dir);
}

static void
one_process(void **state)
{
    (void)state;
    alone(read_only);
    alone(deep_folder);
    alone(hostile);
    alone(leases);
}

TESTS(process_test, cmocka_unit_test(taking_over), cmocka_unit_test(killed_under_load),
      cmocka_unit_test(crash_loop), cmocka_unit_test(one_process))
