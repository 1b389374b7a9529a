/* card.c - Markdown agent cards: front matter in YAML, then the instruction. */
#include "spec/load.h"
#include <string.h>

static size_t
line_end(const struct yfile *f, size_t i)
{
    const char *nl = memchr(f->text + i, '\n', f->len - i);
    return nl ? (size_t)(nl - f->text) + 1 : f->len;
}

static bool
is_fence(const struct yfile *f, size_t i)
{
    size_t end = line_end(f, i);
    while (end > i && strchr(" \t\r\n", f->text[end - 1]))
        end--;
    return end - i == 3 && memcmp(f->text + i, "---", 3) == 0;
}

static struct ynode *
text_node(struct arena *a, const struct yfile *f, size_t from, size_t to)
{
    struct ynode *n = arena_make(a, struct ynode);
    const struct src_pos at = yaml_offset_pos(f, from);
    *n = (struct ynode){.kind = Y_SCALAR,
                        .style = Y_LINES,
                        .height = 1,
                        .weight = 1,
                        .line = at.line,
                        .col = at.col,
                        .file = f,
                        .count = (unsigned)(to - from),
                        .start = (unsigned)from,
                        .end = (unsigned)to,
                        .text = arena_strndup(a, f->text + from, to - from)};
    return n;
}

/* A text that stands nowhere in the file, told at its first line. */
static struct ynode *
name_node(struct arena *a, const struct yfile *f, const char *text)
{
    struct ynode *n = arena_make(a, struct ynode);
    *n = (struct ynode){.kind = Y_SCALAR, .style = Y_LINES, .line = 1, .col = 1, .file = f};
    n->text = arena_strdup(a, text);
    n->count = (unsigned)strlen(text);
    return n;
}

/* The front matter's map and, when there is one, the body as its `instruction`. */
static struct ynode *
with_instruction(struct arena *a, const struct yfile *f, const struct ynode *front, size_t from)
{
    size_t to = f->len;
    while (from < to && strchr(" \t\r\n", f->text[from]))
        from++;
    while (to > from && strchr(" \t\r\n", f->text[to - 1]))
        to--;
    struct ynode *map = arena_make(a, struct ynode);
    *map = (struct ynode){.kind = Y_MAP, .height = 2, .weight = 1, .line = 1, .col = 1, .file = f};
    const unsigned n = front ? front->count : 0;
    map->pairs = arena_array(a, struct ypair, n + 1);
    if (n)
        memcpy(map->pairs, front->pairs, n * sizeof *map->pairs);
    map->count = n;
    if (to > from) {
        struct ynode *body = text_node(a, f, from, to);
        struct ynode *key = name_node(a, f, "instruction");
        key->line = body->line;
        map->pairs[map->count++] = (struct ypair){key, body};
    }
    return map;
}

struct err *
card_parse(struct arena *a, const struct yfile *file, struct problems *problems,
           struct card *ret_card)
{
    struct ynode *front = NULL;
    PASS(yaml_check_bytes(file));
    const size_t bom = file->len >= 3 && memcmp(file->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *ret_card = (struct card){0};
    if (bom == file->len || !is_fence(file, bom))
        return NULL;
    const size_t from = line_end(file, bom);
    size_t to = from;
    while (to < file->len && !is_fence(file, to))
        to = line_end(file, to);
    if (to == file->len)
        return FAIL_AT(((struct src_pos){file->path, 1, 1}), ERR_INVALID,
                       "the front matter is not closed with a line '---'");
    PASS(yaml_parse(a, (struct yrange){file, from, to}, problems, &front));
    if (front && front->kind != Y_MAP)
        return FAIL_AT(yaml_pos(front), ERR_INVALID, "the front matter must be a map of keys");
    struct ynode *name = yaml_get(front, "name");
    if (!name) {
        AUTO(freep) char *stem = path_stem(file->path);
        name = name_node(a, file, stem);
    }
    *ret_card = (struct card){name, with_instruction(a, file, front, line_end(file, to))};
    return NULL;
}
