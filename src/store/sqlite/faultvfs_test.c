/* faultvfs_test.c - the database on a disk that fails.
 *
 * A VFS between SQLite and the real one counts the calls that touch the disk and makes the n-th
 * fail, for every n; or cuts the power there: afterwards each file holds what was synced plus any
 * part, by sectors of 512 bytes, of what was not. Whatever happens, a commit that was acknowledged
 * is there when the store is opened again. Runs in a simulated runtime: one thread, repeatable. */
#include "base/vec.h"
#include "rt/file.h"
#include "rt/sim.h"
#include "store/storetest.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#define SECTOR 512
#ifndef POWER_SEEDS
#define POWER_SEEDS 1 /* images per place where the power goes; raise it for a long test */
#endif

struct late { /* a write or truncation that was not synced yet */
    int64_t at;
    size_t len;
    char *bytes; /* NULL: truncated to `at` */
};
struct shadow { /* of a file: what a power loss would leave for sure */
    char *path;
    struct str synced;
    VEC(struct late) late;
    bool ever_synced;
};
struct fault_file {
    sqlite3_file base;
    struct shadow *shadow;
    sqlite3_file *real;
};

enum fault { FAULT_NONE, FAULT_EIO, FAULT_FULL, FAULT_SHORT, FAULT_POWER, FAULT_FULL_STAYS };
static struct {
    sqlite3_vfs vfs, *real;
    VEC(struct shadow *) shadows;
    enum fault fault;
    int64_t n, fail_at; /* calls so far; the one that fails */
    bool off;           /* the power is gone */
    int hits;
} disk;

/* ---- shadows --------------------------------------------------------------------------------- */

static struct shadow *
shadow_of(const char *path)
{
    vec_each (&disk.shadows, at) {
        if (str_eq((*at)->path, path))
            return *at;
    }
    struct shadow *sh = xcalloc(1, sizeof *sh);
    sh->path = xstrdup(path);
    vec_push(&disk.shadows, sh);
    return sh;
}

static void
apply(struct str *to, int64_t at, const char *bytes, size_t n)
{
    size_t end = (size_t)at + n;
    if (end > to->len) {
        str_reserve(to, end - to->len);
        memset(to->p + to->len, 0, end - to->len);
        to->len = end;
    }
    if (n)
        memcpy(to->p + at, bytes, n);
}

static void
cut(struct str *to, int64_t len)
{
    if (to->len > (size_t)len)
        to->len = (size_t)len;
}

static void
late_drop(struct shadow *sh)
{
    vec_each (&sh->late, w)
        free(w->bytes);
    sh->late.len = 0;
}

static void
shadow_sync(struct shadow *sh)
{
    vec_each (&sh->late, w) {
        if (w->bytes)
            apply(&sh->synced, w->at, w->bytes, w->len);
        else
            cut(&sh->synced, w->at);
    }
    late_drop(sh);
    sh->ever_synced = true;
}

/* The file after the power came back: any sectors of the late writes made it, in any order. */
static void
shadow_survive(struct shadow *sh, uint64_t *seed)
{
    vec_each (&sh->late, w) {
        for (size_t i = 0; i < w->len; i += SECTOR) {
            *seed = *seed * 6364136223846793005u + 1442695040888963407u;
            if (*seed >> 62 != 0) /* one in four is lost */
                apply(&sh->synced, w->at + (int64_t)i, w->bytes + i, MIN(w->len - i, SECTOR));
        }
    }
    late_drop(sh);
    if (!file_exists(sh->path))
        return;
    int fd = open(sh->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, str_c(&sh->synced), sh->synced.len), (int)sh->synced.len);
    close(fd);
}

static void
disk_reset(void)
{
    vec_each (&disk.shadows, at) {
        late_drop(*at);
        vec_fini(&(*at)->late);
        str_fini(&(*at)->synced);
        free((*at)->path);
        free(*at);
    }
    vec_fini(&disk.shadows);
    disk.fault = FAULT_NONE;
    disk.off = false;
    disk.n = disk.fail_at = 0;
    disk.hits = 0;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* What becomes of this call: SQLITE_OK, or how it fails. */
static int
verdict(int io_error)
{
    if (disk.off)
        return io_error;
    disk.n++;
    bool hit = disk.fault == FAULT_FULL_STAYS ? disk.fail_at && disk.n >= disk.fail_at
                                              : disk.n == disk.fail_at;
    if (disk.fault == FAULT_NONE || !hit)
        return SQLITE_OK;
    bool full = disk.fault == FAULT_FULL || disk.fault == FAULT_FULL_STAYS;
    if (full && io_error != SQLITE_IOERR_WRITE && io_error != SQLITE_CANTOPEN)
        return SQLITE_OK; /* only what needs room fails */
    disk.hits++;
    if (disk.fault == FAULT_POWER)
        disk.off = true;
    return full ? SQLITE_FULL : io_error;
}

static struct fault_file *
ff(sqlite3_file *f)
{
    return (struct fault_file *)f;
}

static int
f_close(sqlite3_file *f)
{
    int rc = ff(f)->real->pMethods ? ff(f)->real->pMethods->xClose(ff(f)->real) : SQLITE_OK;
    sqlite3_free(ff(f)->real);
    return rc;
}

static int
f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    int rc = verdict(SQLITE_IOERR_READ);
    return rc != SQLITE_OK ? rc : ff(f)->real->pMethods->xRead(ff(f)->real, p, n, at);
}

static int
real_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (ff(f)->shadow) {
        struct late w = {.at = at, .len = (size_t)n, .bytes = xmalloc((size_t)n)};
        memcpy(w.bytes, p, (size_t)n);
        vec_push(&ff(f)->shadow->late, w);
    }
    return ff(f)->real->pMethods->xWrite(ff(f)->real, p, n, at);
}

static int
f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = verdict(SQLITE_IOERR_WRITE);
    if (rc == SQLITE_OK)
        return real_write(f, p, n, at);
    if ((disk.fault == FAULT_SHORT || disk.fault == FAULT_POWER) && n > 1)
        (void)real_write(f, p, n / 2, at); /* a torn page */
    return rc;
}

static int
f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = verdict(SQLITE_IOERR_TRUNCATE);
    if (rc == SQLITE_OK && ff(f)->shadow)
        vec_push(&ff(f)->shadow->late, ((struct late){.at = size}));
    return rc != SQLITE_OK ? rc : ff(f)->real->pMethods->xTruncate(ff(f)->real, size);
}

static int
f_sync(sqlite3_file *f, int flags)
{
    int rc = verdict(SQLITE_IOERR_FSYNC);
    (void)flags; /* the real sync proves nothing here and costs most of the time */
    if (rc == SQLITE_OK && ff(f)->shadow)
        shadow_sync(ff(f)->shadow);
    return rc;
}

static int
f_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return ff(f)->real->pMethods->xFileSize(ff(f)->real, size);
}
static int
f_lock(sqlite3_file *f, int level)
{
    return ff(f)->real->pMethods->xLock(ff(f)->real, level);
}
static int
f_unlock(sqlite3_file *f, int level)
{
    return ff(f)->real->pMethods->xUnlock(ff(f)->real, level);
}
static int
f_reserved(sqlite3_file *f, int *out)
{
    return ff(f)->real->pMethods->xCheckReservedLock(ff(f)->real, out);
}
static int
f_control(sqlite3_file *f, int op, void *arg)
{
    return ff(f)->real->pMethods->xFileControl(ff(f)->real, op, arg);
}
static int
f_sector(sqlite3_file *f)
{
    return ff(f)->real->pMethods->xSectorSize(ff(f)->real);
}
static int
f_traits(sqlite3_file *f)
{
    return ff(f)->real->pMethods->xDeviceCharacteristics(ff(f)->real);
}
static int
f_shm_map(sqlite3_file *f, int i, int size, int extend, void volatile **out)
{
    return ff(f)->real->pMethods->xShmMap(ff(f)->real, i, size, extend, out);
}
static int
f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return ff(f)->real->pMethods->xShmLock(ff(f)->real, at, n, flags);
}
static void
f_shm_barrier(sqlite3_file *f)
{
    ff(f)->real->pMethods->xShmBarrier(ff(f)->real);
}
static int
f_shm_unmap(sqlite3_file *f, int del)
{
    return ff(f)->real->pMethods->xShmUnmap(ff(f)->real, del);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_reserved,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_traits,
    .xShmMap = f_shm_map,
    .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_shm_unmap,
};

static int
v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    f->pMethods = NULL;
    int rc = verdict(SQLITE_CANTOPEN);
    if (rc != SQLITE_OK)
        return rc;
    ff(f)->real = sqlite3_malloc(disk.real->szOsFile);
    memset(ff(f)->real, 0, (size_t)disk.real->szOsFile);
    ff(f)->shadow = name ? shadow_of(name) : NULL;
    rc = disk.real->xOpen(disk.real, name, ff(f)->real, flags, out);
    if (rc != SQLITE_OK) {
        sqlite3_free(ff(f)->real);
        return rc;
    }
    f->pMethods = &methods;
    return SQLITE_OK;
}

static int
v_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    int rc = verdict(SQLITE_IOERR_DELETE);
    if (rc == SQLITE_OK) {
        struct shadow *sh = shadow_of(name);
        late_drop(sh);
        str_reset(&sh->synced);
    }
    return rc != SQLITE_OK ? rc : disk.real->xDelete(disk.real, name, sync);
}

static void
disk_install(void)
{
    disk_reset();
    disk.real = sqlite3_vfs_find("unix");
    disk.vfs = *disk.real;
    disk.vfs.zName = "failing";
    disk.vfs.szOsFile = sizeof(struct fault_file);
    disk.vfs.xOpen = v_open;
    disk.vfs.xDelete = v_delete;
    sqlite3_vfs_register(&disk.vfs, 1);
}

static void
disk_uninstall(void)
{
    sqlite3_vfs_register(disk.real, 1);
    sqlite3_vfs_unregister(&disk.vfs);
    disk_reset();
}

/* ---- the story ------------------------------------------------------------------------------- */

#define RUNS 3
static struct store_lease lease[RUNS]; /* as far as acknowledged; [0].id[0] == 0: not created */
static unsigned failures, in_doubt;
static char large[9000];

static struct err *
again_create(struct world *w, struct store_lease *l)
{
    struct err *e = NULL;
    for (int i = 0; i < 3; i++) {
        err_free(e);
        e = test_run(w, w->s, l);
        if (!e)
            return NULL;
        failures++;
    }
    return e;
}

static struct err *
again_step(struct world *w, struct store_lease *l, const char *body)
{
    struct err *e = NULL;
    for (int i = 0; i < 3; i++) {
        err_free(e);
        e = test_step(w->s, l, body);
        if (!e)
            return NULL;
        failures++;
    }
    return e;
}

/* values[0..acked] were acknowledged under one key; the next may be there, in doubt. */
static int acked;
static struct err *
again_put(struct world *w, int nth)
{
    char value = (char)('0' + nth);
    struct err *e = store_kv_put(w->s, "limits/x", &value, 1);
    for (int i = 0; i < 2 && e; i++) {
        failures++;
        err_free(e);
        e = store_kv_put(w->s, "limits/x", &value, 1);
    }
    acked = e ? acked : nth;
    return e;
}

/* What is read at length goes through a connection of its own, opened when first used. */
static struct err *
again_look(struct world *w)
{
    struct err *e = NULL;
    struct store_invariants inv;
    for (int i = 0; i < 3; i++) {
        err_free(e);
        e = store_check(w->s, &inv);
        if (!e && !(inv.gaps || inv.damaged || inv.orphans || inv.lost_runs))
            return NULL;
        failures++;
    }
    return e ? e : FAIL(ERR_BUG, "something is wrong with the store");
}

/* Every call may fail; after a passing fault the second try must succeed. */
static struct err *
story(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    struct err *e = NULL;
    for (int i = 0; i < 3 && !w->s; i++) {
        err_free(e);
        e = store_open(&opts, &w->s);
    }
    for (size_t i = 0; i < RUNS && !e; i++)
        e = again_create(w, &lease[i]);
    for (size_t k = 0; k < 4 && !e; k++) {
        for (size_t i = 0; i < RUNS && !e; i++)
            e = again_step(w, &lease[i], k == 2 ? large : "small");
    }
    bool is_new;
    if (!e)
        e = store_signal(w->s, lease[0].id, "n", "k", "b", 1, &is_new);
    if (e && disk.fault != FAULT_POWER && disk.fault != FAULT_FULL_STAYS) {
        err_free(e);
        e = store_signal(w->s, lease[0].id, "n", "k", "b", 1, &is_new);
    }
    for (int i = 1; i <= 3 && !e; i++)
        e = again_put(w, i);
    return e ? e : again_look(w);
}

static void
acked_are_there(struct world *w)
{
    struct store_invariants inv;
    for (size_t i = 0; i < RUNS && lease[i].id[0]; i++) {
        int n = test_count(w->s, lease[i].id);
        EXPECT(n >= lease[i].seq && n <= lease[i].seq + 1);
        in_doubt += n > lease[i].seq;
    }
    AUTO(str_fini) struct str value = STR_INIT;
    bool found = false;
    EXPECT_OK(store_kv_get(w->s, "limits/x", &value, &found));
    int n = found ? str_c(&value)[0] - '0' : 0;
    EXPECT(n == acked || n == acked + 1);
    EXPECT_OK(store_check(w->s, &inv));
    EXPECT(!inv.gaps && !inv.damaged && !inv.orphans && !inv.lost_runs);
}

static enum fault kind_now;
static int64_t fail_now;

static void
one_fault(struct world *w)
{
    memset(lease, 0, sizeof lease);
    acked = 0;
    disk.fault = kind_now;
    disk.fail_at = fail_now;
    struct err *e = story(w);
    bool hit = disk.hits > 0, reached = disk.n >= disk.fail_at;
    if (kind_now == FAULT_FULL_STAYS && hit) { /* then there is room again: it heals by itself */
        if (e) /* a checkpoint that has no room is not the caller's concern */
            EXPECT_ERR(e, ERR_LIMIT);
        disk.fault = FAULT_NONE;
        if (!w->s) {
            struct store_opts again = {.dir = w->dir};
            EXPECT_OK(store_open(&again, &w->s));
        }
        for (size_t i = 0; i < RUNS && lease[i].id[0]; i++)
            EXPECT_OK(test_step(w->s, &lease[i], "room again"));
    } else if (kind_now == FAULT_POWER && hit) {
        err_drop(e);
        store_close(w->s);
        w->s = NULL;
        return; /* what is left is looked at in a new process */
    } else {
        EXPECT_OK(e); /* a passing fault is survived */
    }
    disk.fault = FAULT_NONE;
    acked_are_there(w);
    store_close(w->s);
    w->s = NULL;
    if (!w->failed.len)
        fail_now = reached ? fail_now : -1;
}

static void
after_power_loss(struct world *w)
{
    struct store_opts opts = {.dir = w->dir};
    EXPECT_OK(store_open(&opts, &w->s));
    acked_are_there(w);
    /* The runs go on: whoever held them is dead. */
    for (size_t i = 0; i < RUNS && lease[i].id[0]; i++) {
        struct store_lease l;
        EXPECT_OK(store_claim(w->s, lease[i].id, &l));
        EXPECT_OK(test_step(w->s, &l, "resumed"));
    }
    store_close(w->s);
    w->s = NULL;
}

static void
power_returns(struct world *w, uint64_t seed)
{
    vec_each (&disk.shadows, sh)
        shadow_survive(*sh, &seed);
    AUTO(freep) char *shm = path_join(w->dir, "tutti.db-shm");
    unlink(shm);
    disk.off = false;
    disk.fault = FAULT_NONE;
    test_in_fiber(w, true, after_power_loss);
}

static void
every_fault(enum fault kind, uint64_t seed)
{
    int64_t n = 0;
    fail_now = 1;
    while (fail_now > 0) {
        n++;
        struct world w = {.dir = test_dir_new()};
        disk_install();
        kind_now = kind;
        fail_now = n;
        test_in_fiber(&w, true, one_fault);
        if (fail_now > 0 && kind == FAULT_POWER)
            power_returns(&w, seed * 1000003 + (uint64_t)n);
        disk_uninstall();
        test_dir_free(w.dir);
    }
    print_message("           %lld places, %u failed calls, %u records found that were in doubt\n",
                  (long long)n, failures, in_doubt);
    assert_true(n > 50);
}

static void
faults(enum fault kind, uint64_t seeds)
{
    failures = in_doubt = 0;
    memset(large, 'L', sizeof large - 1);
    for (uint64_t seed = 0; seed < seeds; seed++)
        every_fault(kind, seed);
    assert_true(kind == FAULT_POWER || failures > 0);
}

static void
io_errors(void **state)
{
    (void)state;
    faults(FAULT_EIO, 1);
}
static void
short_writes(void **state)
{
    (void)state;
    faults(FAULT_SHORT, 1);
}
static void
disk_full_once(void **state)
{
    (void)state;
    faults(FAULT_FULL, 1);
}
static void
disk_full_for_long(void **state)
{
    (void)state;
    faults(FAULT_FULL_STAYS, 1);
}
static void
power_loss(void **state)
{
    (void)state;
    faults(FAULT_POWER, POWER_SEEDS);
}

TESTS(faultvfs_test, cmocka_unit_test(io_errors), cmocka_unit_test(short_writes),
      cmocka_unit_test(disk_full_once), cmocka_unit_test(disk_full_for_long),
      cmocka_unit_test(power_loss))
