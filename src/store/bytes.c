/* bytes.c - writing and bounded reading of the few types that travel. */
#include "store/bytes.h"
#include <assert.h>
#include <string.h>

#define BLOB_NULL UINT32_MAX

void
put_u8(struct str *to, unsigned v)
{
    assert(v <= UINT8_MAX);
    str_addc(to, (char)v);
}

void
put_u32(struct str *to, uint32_t v)
{
    unsigned char b[4];
    for (unsigned i = 0; i < sizeof b; i++)
        b[i] = (unsigned char)(v >> (8 * i));
    str_addn(to, b, sizeof b);
}

void
put_i64(struct str *to, int64_t v)
{
    unsigned char b[8];
    for (unsigned i = 0; i < sizeof b; i++)
        b[i] = (unsigned char)((uint64_t)v >> (8 * i));
    str_addn(to, b, sizeof b);
}

void
put_blob(struct str *to, const void *bytes, size_t n)
{
    if (!bytes && n == 0) {
        put_u32(to, BLOB_NULL);
        return;
    }
    assert(n < BLOB_NULL);
    put_u32(to, (uint32_t)n);
    str_addn(to, bytes, n);
    str_addc(to, '\0');
}

void
put_text(struct str *to, const char *text)
{
    put_blob(to, text, text ? strlen(text) : 0);
}

struct bytes_in
bytes_in(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    return (struct bytes_in){p, n ? p + n : p, false};
}

static const unsigned char *
take(struct bytes_in *in, size_t n)
{
    if (in->bad || (size_t)(in->end - in->at) < n) {
        in->bad = true;
        return NULL;
    }
    const unsigned char *p = in->at;
    in->at += n;
    return p;
}

unsigned
get_u8(struct bytes_in *in)
{
    const unsigned char *p = take(in, 1);
    return p ? *p : 0;
}

uint32_t
get_u32(struct bytes_in *in)
{
    const unsigned char *p = take(in, 4);
    uint32_t v = 0;
    for (unsigned i = 0; p && i < 4; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

int64_t
get_i64(struct bytes_in *in)
{
    const unsigned char *p = take(in, 8);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return (int64_t)v;
}

const void *
get_blob(struct bytes_in *in, size_t *ret_n)
{
    *ret_n = 0;
    uint32_t n = get_u32(in);
    if (in->bad || n == BLOB_NULL)
        return NULL;
    const unsigned char *p = take(in, (size_t)n + 1);
    if (!p || p[n] != '\0') {
        in->bad = true;
        return NULL;
    }
    *ret_n = n;
    return p;
}

const char *
get_text(struct bytes_in *in)
{
    size_t n;
    const char *text = get_blob(in, &n);
    if (text && memchr(text, '\0', n)) {
        in->bad = true;
        return NULL;
    }
    return text;
}

size_t
get_count(struct bytes_in *in, size_t each)
{
    assert(each > 0);
    uint32_t n = get_u32(in);
    if (in->bad || n > (size_t)(in->end - in->at) / each) {
        in->bad = true;
        return 0;
    }
    return n;
}

bool
bytes_in_done(const struct bytes_in *in)
{
    return !in->bad && in->at == in->end;
}
