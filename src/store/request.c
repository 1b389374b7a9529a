/* request.c - a request's bounds, its bytes, and the errors that all drivers share. */
#include "store/driver.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const op_names[] = {
    [OP_PUT_DEF] = "put definition",
    [OP_CREATE] = "create",
    [OP_CLAIM] = "claim",
    [OP_CLAIM_READY] = "claim ready",
    [OP_COMMIT] = "commit",
    [OP_SIGNAL] = "signal",
    [OP_CANCEL] = "cancel",
    [OP_PRUNE] = "prune",
    [OP_QUARANTINE] = "quarantine",
    [OP_REAP] = "reap",
    [OP_TICK] = "renew",
    [OP_KV_PUT] = "put value",
    [OP_KV_DELETE] = "delete values",
    [OP_GET_DEF] = "get definition",
    [OP_READ] = "read",
    [OP_GET_RUN] = "get run",
    [OP_LIST] = "list",
    [OP_SIGNALS] = "signals",
    [OP_CHECK] = "check",
    [OP_KV_GET] = "get value",
    [OP_KV_LIST] = "list values",
};
_Static_assert(COUNT(op_names) == OP_COUNT, "every operation has a name");

const char *
op_name(enum op op)
{
    return op_names[op];
}

void
request_reset(struct request *r)
{
    err_freep(&r->err);
    str_reset(&r->page);
    r->flag = r->more = r->damaged = r->gone = false;
    r->number = 0;
}

void
request_fini(struct request *r)
{
    request_reset(r);
    str_fini(&r->page);
}

static struct err *
text_check(const char *what, const char *text, size_t max)
{
    if (!text)
        return FAIL(ERR_INVALID, "%s is missing", what);
    if (strlen(text) > max)
        return FAIL(ERR_INVALID, "%s is longer than %zu bytes: '%.40s...'", what, max, text);
    return NULL;
}

static struct err *
id_check(const char *what, const char *id)
{
    PASS(text_check(what, id, RUN_ID_LEN - 1));
    if (!*id)
        return FAIL(ERR_INVALID, "%s is empty", what);
    for (const char *c = id; *c; c++) {
        if (!((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
              *c == '-' || *c == '_'))
            return FAIL(ERR_INVALID, "'%.40s' is not a run id: letters, digits, - and _ only", id);
    }
    return NULL;
}

static struct err *
def_check(const struct store_def *def)
{
    PASS(text_check("the definition's hash", def->hash, STORE_NAME_MAX));
    PASS(text_check("the definition's name", def->name, STORE_NAME_MAX));
    if (def->body_len > RECORD_BODY_MAX)
        return FAIL(ERR_INVALID, "definition '%s' is larger than %zu bytes", def->name,
                    RECORD_BODY_MAX);
    return NULL;
}

static struct err *
records_check(const struct request *r)
{
    if (r->nrecords > RECORDS_MAX)
        return FAIL(ERR_INVALID, "%zu records in one commit; at most %d", r->nrecords, RECORDS_MAX);
    size_t total = 0;
    for (size_t i = 0; i < r->nrecords; i++) {
        TRY(text_check("the path", r->records[i].path, RECORD_PATH_MAX), "record %zu", i + 1);
        if (r->records[i].body_len > RECORD_BODY_MAX - MIN(total, RECORD_BODY_MAX))
            return FAIL(ERR_INVALID, "the records of one commit are larger than %zu bytes",
                        RECORD_BODY_MAX);
        total += r->records[i].body_len;
    }
    if (r->nconsumed > RECORDS_MAX)
        return FAIL(ERR_INVALID, "%zu signals consumed by one commit; at most %d", r->nconsumed,
                    RECORDS_MAX);
    for (size_t i = 0; i < r->nconsumed; i++) {
        PASS(text_check("the signal's name", r->consumed[i].name, STORE_NAME_MAX));
        PASS(text_check("the signal's key", r->consumed[i].dedupe, STORE_NAME_MAX));
    }
    return NULL;
}

static struct err *
new_run_check(const struct request *r)
{
    const struct store_new_run *n = r->new_run;
    PASS(id_check("the run id", n->id));
    if (n->root_id)
        PASS(id_check("the root's id", n->root_id));
    if (n->parent_id)
        PASS(id_check("the parent's id", n->parent_id));
    PASS(text_check("the definition's hash", n->def_hash, STORE_NAME_MAX));
    PASS(text_check("the run's name", n->name, STORE_NAME_MAX));
    if (n->client_key)
        PASS(text_check("the client key", n->client_key, STORE_NAME_MAX));
    if (r->status < 1)
        return FAIL(ERR_INVALID, "status %d of a new run", r->status);
    return NULL;
}

static struct err *
commit_check(const struct request *r)
{
    PASS(id_check("the run id", r->lease.id));
    if (r->status < 0)
        return FAIL(ERR_INVALID, "status %d", r->status);
    if (r->status >= STATUS_ENDED && !r->release)
        return FAIL(ERR_INVALID, "run '%s' ends without being released", r->lease.id);
    if (r->nconsumed && !r->nrecords)
        return FAIL(ERR_INVALID, "run '%s' consumes a signal without a record", r->lease.id);
    if (r->lease.seq < 0 || r->lease.seq > RECORDS_OF_A_RUN - (int64_t)r->nrecords)
        return FAIL(ERR_LIMIT,
                    "run '%s' has %lld records, the most a run can have; continue in a "
                    "child run",
                    r->lease.id, (long long)r->lease.seq);
    return NULL;
}

/* UTF-8 without control characters, in which KV_AFTER_ALL is not: so that keys sort alike in every
 * driver, and those of a prefix are one range. */
static struct err *
key_check(const char *what, const char *key)
{
    PASS(text_check(what, key, KV_KEY_MAX));
    bool good = utf8_valid(key, strlen(key)) && !strstr(key, KV_AFTER_ALL);
    for (const char *c = key; good && *c; c++)
        good = (unsigned char)*c >= ' ' && *c != 0x7f;
    if (!good)
        return FAIL(ERR_INVALID, "%s has characters that a key cannot have", what);
    return NULL;
}

static struct err *
kv_check(const struct request *r)
{
    PASS(key_check("the key", r->name));
    if (!*r->name && r->op != OP_KV_LIST)
        return FAIL(ERR_INVALID, "the key is empty");
    if (r->body_len > KV_BODY_MAX)
        return FAIL(ERR_INVALID, "the value of '%.40s' is larger than %zu bytes", r->name,
                    KV_BODY_MAX);
    return r->dedupe ? key_check("the cursor", r->dedupe) : NULL;
}

struct err *
request_check(const struct request *r)
{
    if (r->wake_at < 0 || r->expires_at < 0 || r->from < 0)
        return FAIL(ERR_INVALID, "a negative time or number");
    if (r->def)
        PASS(def_check(r->def));
    PASS(records_check(r));
    switch (r->op) {
    case OP_CREATE:
        return r->new_run ? new_run_check(r) : FAIL(ERR_INVALID, "no run to create");
    case OP_COMMIT:
        return commit_check(r);
    case OP_SIGNAL:
        PASS(text_check("the signal's name", r->name, STORE_NAME_MAX));
        PASS(text_check("the signal's key", r->dedupe, STORE_NAME_MAX));
        if (r->body_len > RECORD_BODY_MAX)
            return FAIL(ERR_INVALID, "signal '%s' is larger than %zu bytes", r->name,
                        RECORD_BODY_MAX);
        return id_check("the run id", r->id);
    case OP_PUT_DEF:
        return r->def ? NULL : FAIL(ERR_INVALID, "no definition to put");
    case OP_GET_DEF:
        return text_check("the definition's hash", r->id, STORE_NAME_MAX);
    case OP_CLAIM:
    case OP_CANCEL:
    case OP_QUARANTINE:
    case OP_REAP:
    case OP_READ:
    case OP_GET_RUN:
    case OP_SIGNALS:
        return id_check("the run id", r->id);
    case OP_KV_PUT:
    case OP_KV_DELETE:
    case OP_KV_GET:
    case OP_KV_LIST:
        return kv_check(r);
    case OP_LIST:
        return r->filter.name ? text_check("the name", r->filter.name, STORE_NAME_MAX) : NULL;
    default: /* the others have nothing more to be out of bounds */
        return NULL;
    }
}

/* ---- bytes ----------------------------------------------------------------- */

enum {
    HAS_DEF = 1,
    HAS_NEW_RUN = 2,
    IS_RELEASE = 4,
    IS_FORCE = 8,
    IS_LIVE_ONLY = 16,
    IS_RETRY = 32,
    IS_ONE = 64
};

void
request_put(struct str *to, const struct request *r)
{
    put_u8(to, (unsigned)r->op);
    put_u8(to, (r->def ? HAS_DEF : 0u) | (r->new_run ? HAS_NEW_RUN : 0u) |
                   (r->release ? IS_RELEASE : 0u) | (r->force ? IS_FORCE : 0u) |
                   (r->filter.live_only ? IS_LIVE_ONLY : 0u) | (r->retry ? IS_RETRY : 0u) |
                   (r->one ? IS_ONE : 0u));
    const int64_t numbers[] = {
        r->batch, r->status,         r->wake_at,       r->expires_at,
        r->from,  (int64_t)r->limit, r->filter.status, r->filter.created_before};
    for (size_t i = 0; i < COUNT(numbers); i++)
        put_i64(to, numbers[i]);
    put_text(to, r->id);
    lease_put(to, &r->lease);
    put_text(to, r->name);
    put_text(to, r->dedupe);
    put_blob(to, r->body, r->body_len);
    put_text(to, r->filter.name);
    if (r->def) {
        put_text(to, r->def->hash);
        put_text(to, r->def->name);
        put_blob(to, r->def->body, r->def->body_len);
    }
    if (r->new_run) {
        put_text(to, r->new_run->id);
        put_text(to, r->new_run->root_id);
        put_text(to, r->new_run->parent_id);
        put_text(to, r->new_run->def_hash);
        put_text(to, r->new_run->name);
        put_text(to, r->new_run->client_key);
    }
    put_u32(to, (uint32_t)r->nrecords);
    for (size_t i = 0; i < r->nrecords; i++)
        record_put(to, &r->records[i]);
    put_u32(to, (uint32_t)r->nconsumed);
    for (size_t i = 0; i < r->nconsumed; i++) {
        put_text(to, r->consumed[i].name);
        put_text(to, r->consumed[i].dedupe);
    }
}

static void
request_get_lists(struct bytes_in *in, struct request_in *q)
{
    struct request *r = &q->r;
    r->nrecords = get_count(in, 8 + 4 + 5 + 5);
    q->records = xcalloc(r->nrecords, sizeof *q->records);
    for (size_t i = 0; i < r->nrecords; i++)
        record_get(in, &q->records[i]);
    r->records = q->records;
    r->nconsumed = get_count(in, 5 + 5);
    q->consumed = xcalloc(r->nconsumed, sizeof *q->consumed);
    for (size_t i = 0; i < r->nconsumed; i++) {
        /* Borrowed; nothing writes through them. */
        q->consumed[i].name = (char *)(uintptr_t)get_text(in);
        q->consumed[i].dedupe = (char *)(uintptr_t)get_text(in);
    }
    r->consumed = q->consumed;
}

static void
request_get_parts(struct bytes_in *in, unsigned flags, struct request_in *q)
{
    if (flags & HAS_DEF) {
        q->def.hash = get_text(in);
        q->def.name = get_text(in);
        q->def.body = get_blob(in, &q->def.body_len);
        q->r.def = &q->def;
    }
    if (flags & HAS_NEW_RUN) {
        q->new_run.id = get_text(in);
        q->new_run.root_id = get_text(in);
        q->new_run.parent_id = get_text(in);
        q->new_run.def_hash = get_text(in);
        q->new_run.name = get_text(in);
        q->new_run.client_key = get_text(in);
        q->r.new_run = &q->new_run;
    }
}

bool
request_get(struct bytes_in *in, struct request_in *q)
{
    struct request *r = &q->r;
    memset(q, 0, sizeof *q);
    unsigned op = get_u8(in), flags = get_u8(in);
    if (op >= OP_COUNT || op == OP_TICK || op == OP_REAP)
        return false;
    r->op = (enum op)op;
    r->release = flags & IS_RELEASE;
    r->force = flags & IS_FORCE;
    r->filter.live_only = flags & IS_LIVE_ONLY;
    r->retry = flags & IS_RETRY;
    r->one = flags & IS_ONE;
    r->batch = get_i64(in);
    r->status = (int)get_i64(in);
    r->wake_at = get_i64(in);
    r->expires_at = get_i64(in);
    r->from = get_i64(in);
    int64_t limit = get_i64(in);
    r->limit = limit < 0 ? 0 : (size_t)MIN(limit, RECORDS_OF_A_RUN);
    r->filter.status = (int)get_i64(in);
    r->filter.created_before = get_i64(in);
    r->id = get_text(in);
    lease_get(in, &r->lease);
    r->name = get_text(in);
    r->dedupe = get_text(in);
    r->body = get_blob(in, &r->body_len);
    r->filter.name = get_text(in);
    request_get_parts(in, flags, q);
    request_get_lists(in, q);
    return bytes_in_done(in);
}

void
request_in_fini(struct request_in *q)
{
    request_fini(&q->r);
    free(q->records);
    free(q->consumed);
}

void
reply_put(struct str *to, const struct request *r)
{
    AUTO(freep) char *text = r->err ? err_text(r->err) : NULL;
    put_text(to, text);
    put_u8(to, r->err ? (unsigned)err_kind(r->err) : 0);
    put_u8(to, (r->flag ? 1u : 0) | (r->more ? 2u : 0) | (r->damaged ? 4u : 0) |
                   (r->err && err_in_doubt(r->err) ? 8u : 0));
    put_i64(to, r->number);
    lease_put(to, &r->lease);
    put_blob(to, r->page.len ? r->page.p : NULL, r->page.len);
}

bool
reply_get(struct bytes_in *in, struct request *r)
{
    const char *text = get_text(in);
    unsigned kind = get_u8(in), flags = get_u8(in);
    r->flag = flags & 1;
    r->more = flags & 2;
    r->damaged = flags & 4;
    r->number = get_i64(in);
    struct store_lease lease = {0};
    lease_get(in, &lease);
    size_t n;
    const void *page = get_blob(in, &n);
    if (!bytes_in_done(in) || kind >= ERR_KINDS)
        return false;
    r->lease = lease;
    if (n)
        str_addn(&r->page, page, n);
    if (text) {
        r->err = FAIL((enum err_kind)kind, "%s", text);
        if (flags & 8)
            r->err = err_set_in_doubt(r->err);
    }
    return true;
}

/* ---- common answers -------------------------------------------------------- */

struct err *
err_no_run(const char *id)
{
    return FAIL(ERR_MISSING, "there is no run '%s'", id);
}

struct err *
err_fenced(const char *id)
{
    return FAIL(ERR_DENIED, "run '%s' was taken over or cancelled meanwhile (fenced)", id);
}

struct err *
err_ended(const char *id)
{
    return FAIL(ERR_INVALID, "run '%s' has ended", id);
}

struct err *
err_live(const char *id)
{
    return FAIL(ERR_INVALID, "run '%s' has not ended", id);
}

struct err *
err_owned(const char *id, const char *owner)
{
    return FAIL(ERR_LIMIT, "run '%s' is being run by process '%s'", id, owner);
}

struct err *
err_page(const char *id)
{
    return FAIL(ERR_LIMIT, "the signals of run '%s' are larger than %zu bytes together", id,
                PAGE_LIMIT);
}

struct err *
err_kv_damaged(const char *key)
{
    return FAIL(ERR_INVALID,
                "the value of '%s' is damaged: its checksum is wrong; others are not "
                "touched",
                key);
}

struct err *
err_damaged(const char *id, int64_t seq, const char *what)
{
    if (seq == 0)
        return FAIL(ERR_INVALID, "run '%s' is damaged: %s; other runs are not touched", id, what);
    return FAIL(ERR_INVALID,
                "record %lld of run '%s' is damaged: %s; the run is quarantined, other "
                "runs are not touched",
                (long long)seq, id, what);
}
