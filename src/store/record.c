/* record.c - checksums of records; rows to bytes and back. */
#include "store/record.h"
#include "base/hash.h"
#include <assert.h>
#include <string.h>

uint32_t
record_crc(uint32_t before, const char *run_id, int64_t seq, const struct store_record *r)
{
    unsigned char head[RUN_ID_LEN + 16] = {0};
    size_t path_len = strlen(r->path);
    for (unsigned i = 0; i < 8; i++)
        head[i] = (unsigned char)((uint64_t)seq >> (8 * i));
    for (unsigned i = 0; i < 4; i++) {
        head[8 + i] = (unsigned char)((uint32_t)r->kind >> (8 * i));
        head[12 + i] = (unsigned char)((uint32_t)path_len >> (8 * i));
    }
    memcpy(head + 16, run_id, strnlen(run_id, RUN_ID_LEN - 1));
    uint32_t crc = crc32c(before, head, sizeof head);
    crc = crc32c(crc, r->path, path_len);
    return crc32c(crc, r->body, r->body_len);
}

void
record_put(struct str *page, const struct store_record *r)
{
    put_i64(page, r->seq);
    put_u32(page, (uint32_t)r->kind);
    put_text(page, r->path);
    put_blob(page, r->body ? r->body : "", r->body_len);
}

void
record_get(struct bytes_in *in, struct store_record *ret_r)
{
    ret_r->seq = get_i64(in);
    ret_r->kind = (int)get_u32(in);
    ret_r->path = get_text(in);
    ret_r->body = get_blob(in, &ret_r->body_len);
    if (!ret_r->path || !ret_r->body)
        in->bad = true;
}

bool
id_copy(char to[RUN_ID_LEN], const char *from)
{
    size_t n = from ? strlen(from) : 0;
    if (n >= RUN_ID_LEN)
        return false;
    memset(to, 0, RUN_ID_LEN);
    if (n)
        memcpy(to, from, n);
    return true;
}

static void
id_get(struct bytes_in *in, char to[RUN_ID_LEN])
{
    memset(to, 0, RUN_ID_LEN);
    if (!id_copy(to, get_text(in)))
        in->bad = true;
}

static char *
copy_get(struct bytes_in *in)
{
    const char *text = get_text(in);
    return text ? xstrdup(text) : NULL;
}

void
run_put(struct str *page, const struct store_run *r)
{
    put_text(page, r->id);
    put_text(page, r->root_id);
    put_text(page, r->parent_id);
    put_text(page, r->def_hash);
    put_text(page, r->name);
    put_text(page, r->client_key);
    put_text(page, r->owner);
    const int64_t numbers[] = {r->status, r->epoch,      r->seq,      r->sig_seq,
                               r->cancel, r->wake_at,    r->crashes,  r->created,
                               r->ended,  r->expires_at, r->owner_inc};
    for (size_t i = 0; i < COUNT(numbers); i++)
        put_i64(page, numbers[i]);
}

void
run_get(struct bytes_in *in, struct store_run *ret_r)
{
    struct store_run r = {0};
    id_get(in, r.id);
    id_get(in, r.root_id);
    id_get(in, r.parent_id);
    r.def_hash = copy_get(in);
    r.name = copy_get(in);
    r.client_key = copy_get(in);
    r.owner = copy_get(in);
    r.status = (int)get_i64(in);
    r.epoch = get_i64(in);
    r.seq = get_i64(in);
    r.sig_seq = get_i64(in);
    r.cancel = (int)get_i64(in);
    r.wake_at = get_i64(in);
    r.crashes = (int)get_i64(in);
    r.created = get_i64(in);
    r.ended = get_i64(in);
    r.expires_at = get_i64(in);
    r.owner_inc = get_i64(in);
    *ret_r = r;
}

void
lease_put(struct str *page, const struct store_lease *l)
{
    put_text(page, l->id);
    put_i64(page, l->epoch);
    put_i64(page, l->seq);
    put_i64(page, l->sig_seq);
    put_i64(page, l->row);
    put_u32(page, l->crc);
}

void
lease_get(struct bytes_in *in, struct store_lease *ret_l)
{
    id_get(in, ret_l->id);
    ret_l->epoch = get_i64(in);
    ret_l->seq = get_i64(in);
    ret_l->sig_seq = get_i64(in);
    ret_l->row = get_i64(in);
    ret_l->crc = get_u32(in);
}

void
kv_put(struct str *page, const char *key, const void *body, size_t n)
{
    put_text(page, key);
    put_blob(page, body, n);
}

void
signal_put(struct str *page, const struct store_signal *g)
{
    put_text(page, g->name);
    put_text(page, g->dedupe);
    put_i64(page, g->consumed_seq);
    put_blob(page, g->body ? g->body : "", g->body_len);
}

void
signal_get(struct bytes_in *in, struct store_signal *ret_g)
{
    ret_g->name = copy_get(in);
    ret_g->dedupe = copy_get(in);
    ret_g->consumed_seq = get_i64(in);
    const void *body = get_blob(in, &ret_g->body_len);
    ret_g->body = xmalloc(ret_g->body_len + 1);
    if (ret_g->body_len)
        memcpy(ret_g->body, body, ret_g->body_len);
    ret_g->body[ret_g->body_len] = '\0';
    if (!ret_g->name || !ret_g->dedupe)
        in->bad = true;
}
