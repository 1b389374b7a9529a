/* sealed.c - a simulated world out of which nothing gets. */
#include "app/sealed.h"
#include "rt/sim.h"
#include <string.h>

static struct err *
refuse(void *ctx, const struct http_req *req, int64_t deadline_ms, struct http **ret_http)
{
    (void)deadline_ms, (void)ret_http;
    return FAIL(ERR_DENIED, "'%s' is not called: %s", req->url, (const char *)ctx);
}

static int
refuse_program(void *ctx, struct sim_proc *x)
{
    AUTO(freep)
    char *text = xasprintf("'%s' is not run: %s", sim_proc_argv(x)[0], (const char *)ctx);
    sim_proc_write_stderr(x, text, strlen(text));
    return 127;
}

void
sealed_install(const char *advice)
{
    static const struct http_ops ops = {.open = refuse};
    http_install(&ops, (void *)(uintptr_t)advice);
    sim_on_proc(refuse_program, (void *)(uintptr_t)advice);
}
