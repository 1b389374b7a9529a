/* source.c - files by pieces, folders by names. */
#include "engine/stream/source.h"
#include "base/hash.h"
#include "base/rows.h"
#include "rt/datafile.h"
#include "rt/file.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PIECE_BYTES ((size_t)256 << 10)

const char *const source_formats[] = {"jsonl", "csv", "text", "folder", NULL};

struct source {
    struct source_spec spec;
    struct datafile *file;       /* of rows */
    struct rows *rows;           /* NULL: a folder */
    struct datafile_names names; /* of a folder */
    struct str piece;
    int64_t next; /* item */
    int64_t read; /* bytes */
};

static const struct {
    const char *ending, *format;
    char separator;
} endings[] = {{".jsonl", "jsonl", 0},
               {".ndjson", "jsonl", 0},
               {".csv", "csv", ','},
               {".tsv", "csv", '\t'},
               {".txt", "text", 0}};

static bool
ends_with(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcasecmp(path + n - m, ending) == 0;
}

static struct err *
format_find(struct source_spec *spec)
{
    for (size_t i = 0; i < COUNT(endings); i++) {
        if (!ends_with(spec->path, endings[i].ending))
            continue;
        if (!spec->format)
            spec->format = endings[i].format;
        if (!spec->separator)
            spec->separator = endings[i].separator;
    }
    if (!spec->format && file_is_dir(spec->path))
        spec->format = "folder";
    if (!spec->separator)
        spec->separator = ',';
    if (spec->format)
        return NULL;
    if (ends_with(spec->path, ".json"))
        return FAIL(ERR_INVALID,
                    "'%s' is one JSON value: write its items one a line (jq -c '.[]'), into a "
                    ".jsonl file",
                    spec->shown);
    return FAIL(ERR_INVALID,
                "what is in '%s'? Its name ends in none of .jsonl .ndjson .csv .tsv "
                ".txt; say `format`",
                spec->shown);
}

static struct err *
source_begin(struct source *s)
{
    PASS(format_find(&s->spec));
    if (strcmp(s->spec.format, "folder") == 0)
        return datafile_list(s->spec.path, s->spec.match, SOURCE_FILES_MAX, &s->names);
    PASS(datafile_open(s->spec.path, &s->file));
    s->rows = rows_new(strcmp(s->spec.format, "csv") == 0    ? ROWS_CSV
                       : strcmp(s->spec.format, "text") == 0 ? ROWS_TEXT
                                                             : ROWS_JSONL,
                       s->spec.separator);
    return NULL;
}

struct err *
source_open(const struct source_spec *spec, struct source **ret_source)
{
    struct source *s = xcalloc(1, sizeof *s);
    s->spec = *spec;
    struct err *e = source_begin(s);
    if (e) {
        source_free(s);
        return e;
    }
    *ret_source = s;
    return NULL;
}

void
source_free(struct source *s)
{
    if (!s)
        return;
    datafile_free(s->file);
    rows_free(s->rows);
    datafile_names_fini(&s->names);
    str_fini(&s->piece);
    free(s);
}

/* ---- the same as before? --------------------------------------------------- */

json_t *
source_identity(const struct source *s)
{
    if (s->rows) {
        const struct datafile_id id = datafile_id(s->file);
        return json_pack("{ss ss sI sI}", "path", s->spec.path, "format", s->spec.format, "size",
                         id.size, "changed_ns", id.changed_ns);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < s->names.n; i++) {
        AUTO(freep) char *one = xasprintf("%016llx/%s", (unsigned long long)sum, s->names.names[i]);
        sum = hash_fnv(one, strlen(one));
    }
    AUTO(freep) char *hash = xasprintf("%016llx", (unsigned long long)sum);
    return json_pack("{ss ss sI ss}", "path", s->spec.path, "format", s->spec.format, "files",
                     (json_int_t)s->names.n, "names", hash);
}

char *
source_difference(const json_t *before, const json_t *now)
{
    if (!str_eq(json_str(before, "path", ""), json_str(now, "path", "")))
        return xasprintf("it is another file: '%s', it was '%s'", json_str(now, "path", ""),
                         json_str(before, "path", ""));
    if (json_object_get(before, "files"))
        return xasprintf("its files are others: %lld now, %lld when the run began",
                         (long long)json_int(now, "files", 0),
                         (long long)json_int(before, "files", 0));
    if (json_int(before, "size", 0) != json_int(now, "size", 0))
        return xasprintf("it has %lld bytes, and had %lld when the run began",
                         (long long)json_int(now, "size", 0),
                         (long long)json_int(before, "size", 0));
    return xstrdup("it was written to after the run began");
}

/* ---- items ----------------------------------------------------------------- */

static struct err *
next_file(struct source *s, const struct doneset *skip, struct item *ret_item, bool *ret_end)
{
    while (s->next < (int64_t)s->names.n && doneset_has(skip, s->next))
        s->next++;
    *ret_end = s->next >= (int64_t)s->names.n;
    if (*ret_end)
        return NULL;
    const char *name = s->names.names[s->next];
    AUTO(freep) char *path = path_join(s->spec.shown, name);
    *ret_item = (struct item){.index = s->next};
    if (utf8_valid(path, strlen(path)))
        ret_item->value =
            json_pack("{ss ss sI}", "path", path, "name", name, "size", s->names.sizes[s->next]);
    else
        ret_item->error =
            FAIL(ERR_INVALID, "the name of a file in '%s' is not UTF-8: '%s'", s->spec.shown, name);
    s->next++;
    return NULL;
}

struct err *
source_lost(struct err *e)
{
    AUTO(freep) char *why = err_text(e);
    err_free(e);
    return FAIL(ERR_PARKED, "%s; mend that and resume, or start anew", why);
}

static struct err *
more(struct source *s)
{
    str_reset(&s->piece);
    struct err *e = datafile_read(s->file, PIECE_BYTES, &s->piece);
    if (e)
        return source_lost(e);
    s->read += (int64_t)s->piece.len;
    if (s->piece.len)
        rows_feed(s->rows, s->piece.p, s->piece.len);
    else
        rows_end(s->rows);
    return NULL;
}

static struct err *
next_row(struct source *s, const struct doneset *skip, struct item *ret_item, bool *ret_end)
{
    for (;;) {
        enum rows_state state;
        struct row row;
        TRY(rows_next(s->rows, &state, &row), "'%s'", s->spec.shown);
        *ret_end = state == ROWS_DONE;
        if (*ret_end)
            return NULL;
        if (state == ROWS_MORE) {
            PASS(more(s));
            continue;
        }
        const int64_t index = s->next++;
        if (doneset_has(skip, index))
            continue;
        *ret_item = (struct item){.index = index};
        ret_item->error = rows_value(s->rows, &row, &ret_item->value);
        if (ret_item->error)
            ret_item->error = WRAP(ret_item->error, "'%s'", s->spec.shown);
        return NULL;
    }
}

struct err *
source_next(struct source *s, const struct doneset *skip, struct item *ret_item, bool *ret_end)
{
    return s->rows ? next_row(s, skip, ret_item, ret_end) : next_file(s, skip, ret_item, ret_end);
}

void
source_progress(const struct source *s, int64_t *ret_read, int64_t *ret_all)
{
    *ret_read = s->rows ? s->read : s->next;
    *ret_all = s->rows ? datafile_id(s->file).size : (int64_t)s->names.n;
}
