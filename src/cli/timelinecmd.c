/* timelinecmd.c - `tutti runs show --timeline`: a run over time. */
#include "cli/runs.h"
#include "observe/timeline.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define WIDTH_USUAL 100
#define WIDTH_MAX   1000

/* Said, or the terminal's, or one that fits most pages. */
static struct err *
width_find(const char *said, unsigned *ret_width)
{
    struct winsize size = {0};
    const char *columns = said ? said : rt_env("COLUMNS");
    char *end = NULL;
    unsigned long n = columns ? strtoul(columns, &end, 10) : 0;
    if (said && (*end || !n || n > WIDTH_MAX))
        return FAIL(ERR_INVALID, "the width '%s' is not a number of columns up to %d", said,
                    WIDTH_MAX);
    if (!n || n > WIDTH_MAX)
        n = ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : WIDTH_USUAL;
    *ret_width = (unsigned)n;
    return NULL;
}

struct err *
runs_timeline(struct app *a, void *arg)
{
    const struct asked *q = arg;
    AUTO(trace_freep) struct trace *t = NULL;
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    unsigned width = 0;
    PASS(width_find(q->width, &width));
    PASS(app_trace(a, q->id, TIMELINE_APART, &t));
    if (q->json) {
        doc = timeline_json(t);
        print_json(doc);
        return NULL;
    }
    timeline_text(t, width, &text);
    fputs(str_c(&text), stdout);
    return NULL;
}
