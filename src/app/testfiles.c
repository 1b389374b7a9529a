/* testfiles.c - which files have tests, when folders are named. */
#include "app/tester.h"
#include "base/map.h"
#include "rt/file.h"
#include <string.h>
#include <sys/stat.h>

struct finding {
    struct test_files *to;
    struct map *seen; /* real paths: a file that is meant twice is run once */
    size_t met;       /* files, those that were seen before included */
};

static struct err *
file_add(struct finding *f, const char *path, bool usual)
{
    AUTO(freep) char *real = realpath(path, NULL);
    f->met++;
    if (!real || map_get(f->seen, real))
        return NULL;
    if (f->to->list.len == TEST_FILES_MAX)
        return FAIL(ERR_LIMIT, "more than %d files of tests", TEST_FILES_MAX);
    map_put(f->seen, real, f);
    const struct test_file file = {xstrdup(path), usual};
    vec_push(&f->to->list, file);
    return NULL;
}

static bool
is_test_file(const char *name)
{
    return str_ends(name, ".test.yaml") || str_ends(name, ".test.yml") ||
           str_ends(name, ".test.json");
}

/* Behind links there may be anything, also this folder. */
static bool
is_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static struct err *
folder_add(struct finding *f, const char *path, unsigned depth)
{
    char **names = NULL;
    size_t n = 0;
    struct err *e = dir_list(path, &names, &n);
    for (size_t i = 0; i < n && !e; i++) {
        AUTO(freep) char *below = path_join(path, names[i]);
        if (names[i][0] == '.')
            continue;
        if (is_folder(below))
            e = depth < TEST_FOLDERS_MAX ? folder_add(f, below, depth + 1) : NULL;
        else if (is_test_file(names[i]))
            e = file_add(f, below, false);
    }
    file_names_free(names, n);
    return e;
}

static struct err *
usual_add(struct finding *f, const char *folder)
{
    static const char *const usual[] = {"tutti.yaml", "tutti.yml", "tutti.json"};
    for (size_t i = 0; i < COUNT(usual); i++) {
        AUTO(freep) char *path = path_join(folder, usual[i]);
        if (file_exists(path))
            return file_add(f, path, true);
    }
    return NULL;
}

static struct err *
path_add(struct finding *f, const char *path)
{
    const size_t before = f->met;
    if (!file_exists(path))
        return FAIL(ERR_MISSING, "there is no file or folder '%s'", path);
    if (!file_is_dir(path))
        return file_add(f, path, false);
    PASS(usual_add(f, path));
    PASS(folder_add(f, path, 1));
    if (f->met == before)
        return FAIL(ERR_MISSING,
                    "the folder '%s' has no tests: no tutti.yaml, and no file whose "
                    "name ends in .test.yaml",
                    path);
    return NULL;
}

struct err *
test_files_find(const char *const *paths, size_t n, struct test_files *to)
{
    AUTO(map_freep) struct map *seen = map_new();
    struct finding f = {.to = to, .seen = seen};
    if (!n)
        return path_add(&f, ".");
    for (size_t i = 0; i < n; i++)
        PASS(path_add(&f, paths[i]));
    return NULL;
}

void
test_files_fini(struct test_files *f)
{
    vec_each (&f->list, one)
        free(one->path);
    vec_fini(&f->list);
}
