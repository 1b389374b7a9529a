/* cli.c - options, errors, and the frame of commands. */
#include "cli/cli.h"
#include "base/near.h"
#include "base/printable.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_def *
option_find(const struct option_def *defs, size_t n, const char *word, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        bool name = strlen(defs[i].name) == len && strncmp(defs[i].name, word, len) == 0;
        if (name || (defs[i].brief && strlen(defs[i].brief) == len &&
                     strncmp(defs[i].brief, word, len) == 0))
            return &defs[i];
    }
    return NULL;
}

static int
option_unknown(const struct option_def *defs, size_t n, const char *word)
{
    struct near near = NEAR_INIT(word);
    for (size_t i = 0; i < n; i++)
        near_offer(&near, defs[i].name);
    print_shown(stderr, "tutti: there is no option '%s'%s%s%s\n", word,
                near.best ? " (did you mean '" : "", near.best ? near.best : "",
                near.best ? "'?)" : "");
    return -1;
}

int
options_take(const struct option_def *defs, size_t n, int *argc, char **argv)
{
    int kept = 1;
    bool options = true;
    for (int i = 1; i < *argc; i++) {
        const char *word = argv[i], *equals = strchr(word, '=');
        if (!options || word[0] != '-' || !word[1]) {
            argv[kept++] = argv[i];
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        size_t len = equals && word[1] == '-' ? (size_t)(equals - word) : strlen(word);
        const struct option_def *d = option_find(defs, n, word, len);
        if (!d)
            return option_unknown(defs, n, word);
        if (d->flag && word[len] == '=') {
            print_shown(stderr, "tutti: the option '%s' takes no value\n", d->name);
            return -1;
        }
        if (d->flag) {
            *d->flag = true;
            continue;
        }
        const char *value = word[len] == '=' ? word + len + 1 : i + 1 < *argc ? argv[++i] : NULL;
        if (!value) {
            fprintf(stderr, "tutti: the option '%s' needs a value\n", word);
            return -1;
        }
        if (d->each)
            d->each(d->ctx, value);
        else
            *d->value = value;
    }
    *argc = kept;
    argv[kept] = NULL;
    return 0;
}

int
options_refuse(const struct option_def *defs, size_t n, const char *allowed, const char *who)
{
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(defs[i].name);
        const bool given = defs[i].flag ? *defs[i].flag : defs[i].value && *defs[i].value;
        bool known = false;
        for (const char *p = allowed; (p = strstr(p, defs[i].name)) && !known; p += len)
            known = p[len] == ' ' || !p[len];
        if (given && !known) {
            print_shown(stderr, "tutti: '%s' does not know the option '%s'\n", who, defs[i].name);
            return -1;
        }
    }
    return 0;
}

int
usage_error(const struct command *c, const char *fmt, ...)
{
    AUTO(str_fini) struct str s = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&s, fmt, ap);
    va_end(ap);
    print_shown(stderr, "tutti %s: %s\nusage: tutti %s\n", c->name, str_c(&s), c->usage);
    return TUTTI_USAGE;
}

/* a: hides its secrets, which servers and programs may have repeated; or NULL. */
static int
complain_in(struct app *a, const struct err *e)
{
    enum err_kind kind = err_kind(e);
    bool placed = err_pos(e).line || err_next(e);
    AUTO(str_fini) struct str shown = STR_INIT;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    err_print(e, f);
    fclose(f);
    if (a)
        app_redact(a, text, n, &shown);
    else
        str_addn(&shown, text, n);
    free(text);
    fputs(str_c(&shown), stderr);
    return placed && (kind == ERR_INVALID || kind == ERR_LIMIT) ? TUTTI_INVALID
           : kind == ERR_MISSING || kind == ERR_INVALID         ? TUTTI_USAGE
                                                                : TUTTI_FAILED;
}

int
complain(const struct err *e)
{
    return complain_in(NULL, e);
}

int
fail(struct err *e)
{
    const int code = complain(e);
    err_free(e);
    return code;
}

void
print_json(const json_t *j)
{
    AUTO(freep) char *text = json_pretty(j);
    printf("%s\n", text);
}

void
print_shown(FILE *to, const char *fmt, ...)
{
    AUTO(str_fini) struct str said = STR_INIT, shown = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&said, fmt, ap);
    va_end(ap);
    printable_lines(&shown, str_c(&said), said.len);
    fputs(str_c(&shown), to);
}

void
print_result(const char *text)
{
    if (isatty(STDOUT_FILENO))
        print_shown(stdout, "%s\n", text);
    else
        printf("%s\n", text);
}

struct frame {
    struct with_app *w;
    int code;
};

static void
frame_main(void *arg)
{
    struct frame *f = arg;
    struct app *a = NULL;
    struct err *e = app_open(&f->w->opts, &a);
    if (!e)
        e = f->w->fn(a, f->w->arg);
    if (e)
        f->code = complain_in(a, e);
    err_free(e);
    app_close(a);
}

int
with_app(struct with_app *w)
{
    struct rt *rt;
    struct frame f = {.w = w};
    struct err *e = rt_open(&(struct rt_opts){0}, &rt);
    if (e)
        return fail(e);
    rt_run(rt, frame_main, &f);
    rt_close(rt);
    return f.code;
}
