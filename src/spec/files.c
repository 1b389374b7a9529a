/* files.c - a configuration's files: includes, their order and bounds, agent cards. */
#include "spec/load.h"
#include <string.h>

char *
include_path(const char *including, const char *path)
{
    const char *slash = strrchr(including, '/');
    while (str_starts(path, "./"))
        path += 2;
    if (path[0] == '/' || !slash)
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - including), including, path);
}

char *
path_stem(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return dot && dot > base ? xstrndup(base, (size_t)(dot - base)) : xstrdup(base);
}

static struct yfile *
file_add(struct loader *l, const char *path, const char *text, size_t len)
{
    struct arena *a = l->c.arena;
    struct yfile *f = arena_make(a, struct yfile);
    f->path = arena_strdup(a, path);
    f->text = len > YAML_BYTES_MAX ? "" : arena_strndup(a, text, len);
    f->len = len;
    f->index = (unsigned)l->c.places->files.len + 1;
    vec_push(&l->c.places->files, f);
    return f;
}

static void
problem(struct loader *l, const struct yfile *f, struct err *OWN e)
{
    problems_add(&l->c.problems, f->index, e);
}

static void file_read(struct loader *l, const char *path, const char *text, size_t len);

static bool
is_read(struct loader *l, const char *path)
{
    vec_each (&l->c.places->files, f) {
        if (strcmp((*f)->path, path) == 0)
            return true;
    }
    return false;
}

static const char *
include_refusal(struct loader *l, const char *path)
{
    vec_each (&l->stack, p) {
        if (strcmp(*p, path) == 0)
            return "it includes itself in the end";
    }
    if (l->stack.len >= SPEC_INCLUDE_DEPTH_MAX)
        return "files include each other too deeply";
    if (l->c.places->files.len >= SPEC_FILES_MAX)
        return "there are too many files";
    if (!l->source->files || !l->source->files->read)
        return "files cannot be read here";
    return NULL;
}

static void
include_one(struct loader *l, const struct ynode *n, const char *from)
{
    AUTO(str_fini) struct str buf = STR_INIT, text = STR_INIT;
    bool loose;
    if (n->kind != Y_SCALAR || yaml_scalar(n).type != YT_STRING || !n->count)
        return; /* sections_check tells what is wrong with it */
    str_add(&l->c.path, "include");
    const char *given = scalar_resolve(&l->c, n, &buf, &loose);
    str_reset(&l->c.path);
    if (!given)
        return;
    AUTO(freep) char *path = include_path(from, given);
    const char *refusal = include_refusal(l, path);
    if (refusal) {
        check_fail(&l->c, n, "cannot include '%.200s': %s", given, refusal);
        return;
    }
    if (is_read(l, path))
        return;
    struct err *e = l->source->files->read(l->source->files->ctx, path, &text);
    if (e) {
        AUTO(freep) char *why = err_text(e);
        check_fail(&l->c, n, "cannot include '%.200s': %s", given, why);
        err_drop(e);
        l->incomplete = true;
        return;
    }
    file_read(l, path, str_c(&text), text.len);
}

static void
includes_read(struct loader *l, const struct ynode *root, const char *path)
{
    const struct ynode *list = yaml_get(root, "include");
    if (!list)
        return;
    if (list->kind == Y_SCALAR)
        include_one(l, list, path);
    for (unsigned i = 0; list->kind == Y_LIST && i < list->count; i++)
        include_one(l, list->items[i], path);
}

static struct err *MUST
root_check(const struct yfile *f, const struct ynode *root)
{
    AUTO(str_fini) struct str found = STR_INIT;
    if (!root)
        return FAIL_AT(((struct src_pos){f->path, 1, 1}), ERR_INVALID, "the file is empty");
    if (root->kind != Y_MAP)
        return FAIL_AT(yaml_pos(root), ERR_INVALID,
                       "a file must be a map of keys such as 'agents:', found %s",
                       found_text(root, &found));
    return NULL;
}

static void
file_read(struct loader *l, const char *path, const char *text, size_t len)
{
    struct yfile *f = file_add(l, path, text, len);
    struct ynode *root = NULL;
    struct err *e = yaml_parse(l->c.arena, yaml_whole(f), &l->c.problems, &root);
    if (!e)
        e = root_check(f, root);
    if (e) {
        problem(l, f, e);
        l->incomplete = true;
        return;
    }
    const struct source_file one = {.file = f, .root = root};
    vec_push(&l->files, one);
    vec_push(&l->stack, f->path);
    includes_read(l, root, f->path);
    l->stack.len--;
}

/* ---- cards ----------------------------------------------------------------- */
struct found_paths {
    VEC(char *) paths;
};

static void
card_found(void *arg, const char *path)
{
    struct found_paths *found = arg;
    if (found->paths.len < SPEC_FILES_MAX)
        vec_push(&found->paths, xstrdup(path));
}

static void
card_read(struct loader *l, const char *path)
{
    AUTO(str_fini) struct str text = STR_INIT;
    struct card card;
    struct err *e = l->source->files->read(l->source->files->ctx, path, &text);
    if (e) {
        problems_add(&l->c.problems, 0, WRAP(e, "reading the agent card '%s'", path));
        return;
    }
    struct yfile *f = file_add(l, path, str_c(&text), text.len);
    e = card_parse(l->c.arena, f, &l->c.problems, &card);
    if (e) {
        problem(l, f, e);
        l->incomplete = true;
    } else if (card.def) {
        vec_push(&l->cards, card);
    } else {
        problems_add(&l->c.warnings, f->index,
                     FAIL_AT(((struct src_pos){f->path, 1, 1}), ERR_INVALID,
                             "no front matter: not read as an agent"));
    }
}

static void
cards_read(struct loader *l)
{
    const struct spec_files *files = l->source->files;
    if (!files || !files->list || !files->read)
        return;
    struct found_paths found = {0};
    AUTO(freep) char *folder = include_path(l->c.places->files.at[0]->path, "agents");
    struct err *e = files->list(files->ctx, folder, ".md", card_found, &found);
    if (e)
        problems_add(&l->c.problems, 0, WRAP(e, "looking for agent cards in '%s'", folder));
    vec_each (&found.paths, p) {
        if (l->c.places->files.len < SPEC_FILES_MAX)
            card_read(l, *p);
        free(*p);
    }
    vec_fini(&found.paths);
}

void
files_read(struct loader *l)
{
    AUTO(freep) char *path = include_path("", l->source->path);
    file_read(l, path, l->source->text, l->source->len);
    for (size_t i = 0; i < l->source->ntexts; i++)
        file_read(l, l->source->texts[i].path, l->source->texts[i].text, l->source->texts[i].len);
    cards_read(l);
}
