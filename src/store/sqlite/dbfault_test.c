/* dbfault_test.c - what SQLite may say and what the user is told; databases that lack something;
 * a bad request among good ones; no memory; a crash while a commit waits. */
#include "base/vec.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/sanitize.h"
#include "rt/sim.h"
#include "store/front.h"
#include "store/sqlite/conn.h"
#include "store/storetest.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- in words -------------------------------------------------------------------------------- */

static void
words(void **state)
{
    (void)state;
    static const struct {
        int rc, os, kind;
        const char *want;
    } row[] = {
        {SQLITE_FULL, 0, ERR_LIMIT,
         "commit 'x.db': the disk is full; free some space and go on, nothing that was "
         "acknowledged is lost"},
        {SQLITE_IOERR_WRITE, EDQUOT, ERR_LIMIT,
         "commit 'x.db': the disk is full; free some space and go on, nothing that was "
         "acknowledged is lost"},
        {SQLITE_READONLY_DBMOVED, 0, ERR_DENIED,
         "commit 'x.db': not allowed to write there; check the folder's permissions or choose "
         "another one with --store"},
        {SQLITE_CANTOPEN, EROFS, ERR_DENIED,
         "commit 'x.db': not allowed to write there; check the folder's permissions or choose "
         "another one with --store"},
        {SQLITE_CANTOPEN, ENOENT, ERR_MISSING, "commit 'x.db': there is no store"},
        {SQLITE_NOTADB, 0, ERR_INVALID,
         "commit 'x.db': this file is not a database; move it away or choose another folder with "
         "--store"},
        {SQLITE_CORRUPT, 0, ERR_INVALID,
         "commit 'x.db': the database file is damaged (database disk image is malformed)"},
        {SQLITE_BUSY, 0, ERR_TRANSIENT,
         "commit 'x.db': another program holds it; close its sqlite3 shell"},
        {SQLITE_LOCKED_SHAREDCACHE, 0, ERR_TRANSIENT,
         "commit 'x.db': another program holds it; close its sqlite3 shell"},
        {SQLITE_TOOBIG, 0, ERR_LIMIT, "commit 'x.db': a record is too large"},
        {SQLITE_IOERR_READ, EIO, ERR_TRANSIENT,
         "commit 'x.db': disk I/O error (266: Input/output error)"},
        {SQLITE_ERROR, 0, ERR_TRANSIENT, "commit 'x.db': SQL logic error (1)"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct conn c = {.path = "x.db"};
        errno = row[i].os;
        assert_err(conn_err(&c, row[i].rc, "commit"), row[i].kind, row[i].want);
    }
}

/* ---- a database that lacks something --------------------------------------------------------- */

static struct store_lease lease[8];
static struct str seen; /* errors, the folder's name cut out */

static void
edit(const char *dir, const char *text)
{
    sqlite3 *db;
    AUTO(freep) char *path = path_join(dir, "tutti.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    char *why = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    sqlite3_close(db);
}

static void
see(struct world *w, struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("ok");
    const char *at = strstr(text, w->dir);
    str_addf(&seen, "%s%s%.*s%s\n", e ? err_kind_name(err_kind(e)) : "", e ? ": " : "",
             at ? (int)(at - text) : (int)strlen(text), text, at ? at + strlen(w->dir) : "");
    err_free(e);
}

static void
fill(struct world *w)
{
    static char large[9000];
    memset(large, 'L', sizeof large - 1);
    EXPECT_OK(store_open(&(struct store_opts){.dir = w->dir}, &w->s));
    for (size_t i = 0; i < COUNT(lease); i++)
        EXPECT_OK(test_run(w, w->s, &lease[i]));
    EXPECT_OK(test_step(w->s, &lease[1], large));
    for (size_t i = 0; i < COUNT(lease); i++)
        EXPECT_OK(store_release(w->s, &lease[i], INT64_MAX));
    store_close(w->s);
    w->s = NULL;
}

static void
use(struct world *w)
{
    struct store_lease l;
    bool is_new;
    struct err *e = store_open(&(struct store_opts){.dir = w->dir}, &w->s);
    if (e) {
        see(w, e);
        return;
    }
    see(w, store_signal(w->s, lease[0].id, "n", "k", "b", 1, &is_new));
    int n = test_count(w->s, lease[1].id);
    str_addf(&seen, "%d records\n", n);
    see(w, store_claim(w->s, lease[2].id, &l));
    see(w, store_put_def(w->s, &(struct store_def){"h", "n", "b", 1}));
    EXPECT_OK(store_claim(w->s, lease[3].id, &l)); /* whatever there is: others live on */
    EXPECT_OK(test_step(w->s, &l, "on"));
    EXPECT(test_count(w->s, l.id) == 2);
    store_close(w->s);
    w->s = NULL;
}

static void
lacking(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *want;
    } row[] = {
        {"SELECT 1", "ok\n2 records\nok\nok\n"},
        {"DROP TABLE signal",
         "transient: signal '/tutti.db': SQL logic error (1)\n2 records\nok\nok\n"},
        {"DROP TABLE def",
         "ok\n2 records\nok\ntransient: put definition '/tutti.db': SQL logic error (1)\n"},
        {"DELETE FROM blob", "ok\n-1 records\nok\nok\n"},
        {"UPDATE run SET name='x' WHERE no=3",
         "ok\n2 records\ninvalid: run 'R' is damaged: the checksum of its row is wrong; other runs "
         "are not touched\nok\n"},
        {"DROP TABLE trash",
         "transient: opening the store: opening '/tutti.db': SQL logic error (1)\n"},
        {"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE what?' WHERE name='run'",
         "invalid: opening the store: opening '/tutti.db': the database file is damaged (malformed "
         "database schema (run) - near \"what\": syntax error)\n"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct world w = {.dir = test_dir_new()};
        str_reset(&seen);
        test_in_fiber(&w, false, fill);
        edit(w.dir, row[i].sql);
        test_in_fiber(&w, false, use);
        char *id = seen.len ? strstr(seen.p, lease[2].id) : NULL;
        if (id) {
            *id = 'R';
            memmove(id + 1, id + RUN_ID_LEN - 1, strlen(id + RUN_ID_LEN - 1) + 1);
        }
        assert_string_equal(str_c(&seen), row[i].want);
        test_dir_free(w.dir);
    }
    str_fini(&seen);
}

static void
check(struct world *w)
{
    struct store_invariants inv = {0};
    EXPECT_OK(store_open(&(struct store_opts){.dir = w->dir}, &w->s));
    see(w, store_check(w->s, &inv));
    see(w, store_read(w->s, lease[0].id, 1, NULL, NULL));
    AUTO(store_run_fini) struct store_run run = {0};
    EXPECT_OK(store_get_run(w->s, lease[0].id, &run));
    str_addf(&seen, "status %d\n", run.status);
    store_close(w->s);
    w->s = NULL;
}

/* All journals are gone: once with their table, once because its first page is rubbish. The rows of
 * the runs are there, and a journal that was found to be rubbish is not gone on with. */
static void
checking(void **state)
{
    (void)state;
    for (int torn = 0; torn < 2; torn++) {
        struct world w = {.dir = test_dir_new()};
        test_in_fiber(&w, false, fill);
        if (torn)
            edit(w.dir, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage=(SELECT "
                        "rootpage FROM sqlite_schema WHERE name='run_ready') WHERE name='journal'");
        else
            edit(w.dir, "DROP TABLE journal");
        str_reset(&seen);
        test_in_fiber(&w, false, check);
#define MALFORMED                                                                                  \
    "invalid: reading '/tutti.db': the database file is damaged (database disk image is "          \
    "malformed)\n"
#define NO_TABLE "transient: reading '/tutti.db': SQL logic error (1)\n"
        assert_string_equal(str_c(&seen), torn ? MALFORMED MALFORMED "status 3\n"
                                               : NO_TABLE NO_TABLE "status 1\n");
        test_dir_free(w.dir);
    }
    str_fini(&seen);
}

/* ---- a bad one among good ones --------------------------------------------------------------- */

struct step {
    struct world *w;
    struct store_lease *lease;
    struct err *err;
};

static void
step_run(void *arg)
{
    struct step *s = arg;
    bool is_new;
    s->err = s->lease ? test_step(s->w->s, s->lease, "together")
                      : store_signal(s->w->s, lease[0].id, "n", "k", "b", 1, &is_new);
}

/* They are one batch. It fails; then each is tried alone, and only the bad one fails. */
static void
batch(struct world *w)
{
    struct step step[COUNT(lease)];
    struct scope scope;
    struct store_numbers before, after;
    EXPECT_OK(store_open(&(struct store_opts){.dir = w->dir}, &w->s));
    for (size_t i = 0; i < COUNT(lease); i++)
        EXPECT_OK(store_claim(w->s, lease[i].id, &lease[i]));
    store_numbers(w->s, &before);
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(lease); i++) {
        step[i] = (struct step){.w = w, .lease = i == 3 ? NULL : &lease[i]};
        scope_spawn(&scope, "step", step_run, &step[i]);
    }
    err_drop(scope_close(&scope));
    store_numbers(w->s, &after);
    for (size_t i = 0; i < COUNT(lease); i++) {
        if (i == 3)
            EXPECT_ERR(step[i].err, ERR_TRANSIENT);
        else
            EXPECT_OK(step[i].err);
        EXPECT(test_count(w->s, lease[i].id) == 1 + (i != 3) + (i == 1));
    }
    EXPECT(after.batches - before.batches == COUNT(lease) - 1);
    EXPECT(after.commits - before.commits == COUNT(lease) - 1);
    store_close(w->s);
}

static void
batches(void **state)
{
    (void)state;
    struct world w = {.dir = test_dir_new()};
    test_in_fiber(&w, true, fill);
    edit(w.dir, "DROP TABLE signal");
    test_in_fiber(&w, true, batch);
    test_dir_free(w.dir);
}

/* ---- a crash while a commit waits ------------------------------------------------------------ */

static void
crash(struct world *w)
{
    struct scope scope;
    EXPECT_OK(store_open(&(struct store_opts){.dir = w->dir}, &w->s));
    EXPECT_OK(store_claim(w->s, lease[0].id, &lease[0]));
    struct step step = {.w = w, .lease = &lease[0]};
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "step", step_run, &step);
    fiber_yield();
    sim_crash();
    err_drop(scope_close(&scope));
    store_close(w->s);
    w->s = NULL;
    EXPECT_ERR(step.err, ERR_CANCELLED);
    EXPECT(lease[0].seq == 1);
}

static void
after_crash(struct world *w)
{
    EXPECT_OK(store_open(&(struct store_opts){.dir = w->dir}, &w->s));
    EXPECT(test_count(w->s, lease[0].id) == 1);
    EXPECT_OK(store_claim(w->s, lease[0].id, &lease[0]));
    EXPECT_OK(test_step(w->s, &lease[0], "resumed"));
    store_close(w->s);
}

static void
crashes(void **state)
{
    (void)state;
    struct world w = {.dir = test_dir_new()};
    test_in_fiber(&w, true, fill);
    test_in_fiber(&w, true, crash);
    test_in_fiber(&w, true, after_crash);
    test_dir_free(w.dir);
}

/* ---- no memory ------------------------------------------------------------------------------- */

#define ABORTED 77

static void
on_abort(int signum)
{
    (void)signum;
    COUNTS_WRITE(), _exit(ABORTED);
}

static void
no_memory(struct world *w)
{
    EXPECT_OK(store_open(&(struct store_opts){.dir = w->dir}, &w->s));
    EXPECT_OK(store_claim(w->s, lease[0].id, &lease[0]));
    EXPECT_OK(test_step(w->s, &lease[0], "there is some"));
    sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1);
    err_drop(test_step(w->s, &lease[0], "and now there is none"));
    err_drop(store_get_run(w->s, "Z", &(struct store_run){0}));
}

/* The process ends there and then; what was acknowledged is there for the next one. */
static void
memory(void **state)
{
    (void)state;
    struct world w = {.dir = test_dir_new()};
    int status;
    test_in_fiber(&w, true, fill);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, on_abort);
        test_in_fiber(&w, true, no_memory);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ABORTED);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    AUTO(freep) char *path = path_join(w.dir, "tutti.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT seq FROM run WHERE no=1", -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 2);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    test_dir_free(w.dir);
}

TESTS(dbfault_test, cmocka_unit_test(words), cmocka_unit_test(lacking), cmocka_unit_test(checking),
      cmocka_unit_test(batches), cmocka_unit_test(crashes), cmocka_unit_test(memory))
