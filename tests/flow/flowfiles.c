/* flowfiles.c - real files: the simulated world reads them as the real one does. */
#include "flowfiles.h"
#include "rt/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *
flowfiles_make(const json_t *files)
{
    const char *name, *tmp = getenv("TMPDIR");
    json_t *text;
    if (!files)
        return NULL;
    char *dir = xasprintf("%s/tutti-flow.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(2);
    }
    json_object_foreach ((json_t *)(uintptr_t)files, name, text) {
        AUTO(freep) char *path = path_join(dir, name);
        AUTO(freep) char *folder = path_dir(path);
        struct err *e = dir_make(folder, 0700);
        if (!e)
            e = file_write(path, json_string_value(text), json_string_length(text), 0600);
        if (e)
            err_print(e, stderr);
        err_free(e);
    }
    return dir;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *
flowfiles_lines(const char *dir, const char *name)
{
    AUTO(freep) char *path = path_join(dir, name);
    AUTO(str_fini) struct str text = STR_INIT;
    struct str out = STR_INIT;
    char *lines[200];
    size_t n = 0;
    err_drop(file_read(path, 1 << 20, &text));
    for (char *save, *p = strtok_r(text.p, "\n", &save); p && n < COUNT(lines);
         p = strtok_r(NULL, "\n", &save))
        lines[n++] = p;
    qsort(lines, n, sizeof *lines, by_text);
    for (size_t i = 0; i < n; i++)
        str_addf(&out, "%s\n", lines[i]);
    return str_steal(&out);
}

char *
flowfiles_shown(const char *dir, const char *text)
{
    struct str out = STR_INIT;
    const char *at = text;
    for (const char *found; dir && (found = strstr(at, dir)); at = found + strlen(dir)) {
        str_addn(&out, at, (size_t)(found - at));
        str_add(&out, "DIR");
    }
    str_add(&out, at);
    free((char *)(uintptr_t)text);
    return str_steal(&out);
}

void
flowfiles_remove(char *dir)
{
    AUTO(freep) char *rm = dir ? xasprintf("rm -r '%s'", dir) : NULL;
    if (rm && system(rm) != 0)
        fprintf(stderr, "%s is left\n", dir);
    free(dir);
}
