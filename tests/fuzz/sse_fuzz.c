/* sse_fuzz.c - any bytes as an event stream, cut in any way: the events must be the same.
 *
 * The first byte of the input chooses how the rest is cut, the second the parser's limit. */
#include "net/sse.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Everything that comes out, as one text: lengths keep it free of doubt. */
static void
parse(const uint8_t *bytes, size_t n, unsigned cut, size_t max, struct str *out)
{
    AUTO(sse_fini) struct sse s = SSE_INIT(max);
    bool failed = false;
    for (size_t at = 0; at < n && !failed;) {
        size_t step = cut ? 1 + (at * 7 + cut) % cut : n;
        step = MIN(step, n - at);
        sse_feed(&s, bytes + at, step);
        at += step;
        for (bool got = true; got && !failed;) {
            struct sse_event ev;
            struct err *e = sse_next(&s, &ev, &got);
            if (e) {
                str_add(out, err_kind(e) == ERR_LIMIT ? "limit" : "other");
                failed = true;
                err_free(e);
            } else if (got) {
                if (ev.data_len > max)
                    abort();
                str_addf(out, "%zu %s %zu %s %zu ", strlen(ev.type), ev.type, strlen(ev.id), ev.id,
                         ev.data_len);
                str_addn(out, ev.data, ev.data_len);
                str_addc(out, ';');
            }
        }
    }
    if (!failed)
        str_addf(out, "%lld", (long long)sse_retry_ms(&s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO(str_fini) struct str whole = STR_INIT, cut = STR_INIT;
    if (n < 2)
        return 0;
    size_t max = 1 + (size_t)bytes[1] * 4;
    parse(bytes + 2, n - 2, 0, max, &whole);
    parse(bytes + 2, n - 2, 1u + bytes[0] % 16, max, &cut);
    if (whole.len != cut.len || memcmp(str_c(&whole), str_c(&cut), cut.len) != 0)
        abort();
    return 0;
}
