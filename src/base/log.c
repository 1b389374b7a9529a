/* log.c - formats a line and hands it to the sink. */
#include "base/log.h"
#include "base/str.h"
#include <stdio.h>

enum log_level log_threshold = LOG_WARN;
static log_sink_fn log_sink;
static void *log_ctx;

void
log_set(enum log_level threshold, log_sink_fn sink, void *ctx)
{
    log_threshold = threshold;
    log_sink = sink;
    log_ctx = ctx;
}

void
log_write(enum log_level level, const char *area, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warning", "error", ""};
    AUTO(str_fini) struct str s = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&s, fmt, ap);
    va_end(ap);
    if (log_sink)
        log_sink(log_ctx, level, area, str_c(&s));
    else
        fprintf(stderr, "%s: %s: %s\n", names[level], area, str_c(&s));
}
