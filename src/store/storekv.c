/* storekv.c - the front of the values: puts, gets, pages of a listing. */
#include "store/front.h"
#include <string.h>

struct err *
store_kv_put(struct store *s, const char *key, const void *body, size_t n)
{
    AUTO(request_fini)
    struct request r = {.op = OP_KV_PUT, .name = key, .body = n ? body : "", .body_len = n};
    return store_call(s, &r);
}

struct err *
store_kv_get(struct store *s, const char *key, struct str *ret_body, bool *ret_found)
{
    AUTO(request_fini) struct request r = {.op = OP_KV_GET, .name = key};
    PASS(store_call(s, &r));
    str_addn(ret_body, r.page.p, r.page.len);
    *ret_found = r.flag;
    return NULL;
}

/* One page; *cursor becomes its last key. */
static struct err *
page_deliver(struct store *s, const struct request *r, struct str *cursor, store_kv_fn fn,
             void *ctx)
{
    struct bytes_in in = bytes_in(r->page.p, r->page.len);
    while (in.at < in.end) {
        size_t n = 0;
        const char *key = get_text(&in);
        const void *body = get_blob(&in, &n);
        /* Keys that do not rise would make an owner's nonsense an endless listing. */
        if (in.bad || !key || !str_starts(key, r->name) || strcmp(key, str_c(cursor)) <= 0)
            return store_malformed(s, "page of values");
        str_reset(cursor);
        str_add(cursor, key);
        PASS(fn(ctx, key, body, n));
    }
    return NULL;
}

struct err *
store_kv_list(struct store *s, const char *prefix, store_kv_fn fn, void *ctx)
{
    AUTO(str_fini) struct str cursor = STR_INIT;
    for (bool more = true; more;) {
        AUTO(request_fini) struct request r = {.op = OP_KV_LIST, .name = prefix};
        AUTO(freep) char *from = xstrdup(str_c(&cursor));
        r.dedupe = from;
        PASS(store_call(s, &r));
        more = r.more;
        PASS(page_deliver(s, &r, &cursor, fn, ctx));
        if (more && str_eq(from, str_c(&cursor)))
            return store_malformed(s, "page of values");
    }
    return NULL;
}

struct err *
store_kv_delete(struct store *s, const char *prefix, size_t *ret_n)
{
    size_t total = 0;
    for (bool more = true; more;) {
        AUTO(request_fini) struct request r = {.op = OP_KV_DELETE, .name = prefix};
        PASS(store_call(s, &r));
        total += (size_t)MAX(r.number, 0);
        more = r.more;
    }
    *ret_n = total;
    return NULL;
}
