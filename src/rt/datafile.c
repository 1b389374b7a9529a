/* datafile.c - each call is one piece of work for a thread. */
#include "rt/datafile.h"
#include "rt/file.h"
#include "rt/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct datafile {
    char *path;
    int fd;
    struct datafile_id id;
};

struct job {
    struct datafile *file;
    const char *path;
    int64_t keep;
    void *into;
    const void *from;
    size_t n, got;
    bool adds, sync;
    struct err *e;
};

static struct err *
fail_errno(const char *doing, const char *path)
{
    const int no = errno;
    enum err_kind kind = no == ENOENT || no == ENOTDIR                 ? ERR_MISSING
                         : no == EACCES || no == EPERM || no == EROFS  ? ERR_DENIED
                         : no == ENOSPC || no == EDQUOT || no == EFBIG ? ERR_LIMIT
                         : no == EISDIR || no == ELOOP                 ? ERR_INVALID
                                                                       : ERR_TRANSIENT;
    return FAIL(kind, "%s '%s': %s", doing, path, strerror(no));
}

static struct datafile_id
id_of(const struct stat *st)
{
    return (struct datafile_id){st->st_size,
                                (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec};
}

/* Without O_NONBLOCK a pipe would be waited for before it can be seen what it is. */
static struct err *
opened(struct datafile *f, const char *path, int flags)
{
    struct stat st;
    f->fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return fail_errno("opening", path);
    if (!S_ISREG(st.st_mode))
        return FAIL(ERR_INVALID, "opening '%s': it is not a file", path);
    f->id = id_of(&st);
    return NULL;
}

static void
open_job(void *arg)
{
    struct job *j = arg;
    struct datafile *f = j->file;
    j->e = opened(f, j->path, j->adds ? O_WRONLY | O_CREAT : O_RDONLY);
    if (j->e || !j->adds)
        return;
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        j->e = FAIL(ERR_LIMIT, "'%s' is being written by somebody else: name another file, or wait",
                    j->path);
    else if (f->id.size < j->keep)
        j->e = FAIL(ERR_INVALID, "'%s' has %lld bytes, and %lld had been written to it", j->path,
                    (long long)f->id.size, (long long)j->keep);
    else if (ftruncate(f->fd, j->keep) != 0 || lseek(f->fd, j->keep, SEEK_SET) < 0)
        j->e = fail_errno("writing", j->path);
}

static struct err *
open_it(struct job *j, struct datafile **ret_file)
{
    j->file = xcalloc(1, sizeof *j->file);
    j->file->fd = -1;
    j->file->path = xstrdup(j->path);
    offload(open_job, j);
    if (j->e) {
        datafile_free(j->file);
        return j->e;
    }
    *ret_file = j->file;
    return NULL;
}

struct err *
datafile_open(const char *path, struct datafile **ret_file)
{
    struct job j = {.path = path};
    return open_it(&j, ret_file);
}

struct err *
datafile_append_to(const char *path, int64_t keep, struct datafile **ret_file)
{
    struct job j = {.path = path, .keep = keep, .adds = true};
    return open_it(&j, ret_file);
}

void
datafile_free(struct datafile *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

struct datafile_id
datafile_id(const struct datafile *f)
{
    return f->id;
}

static void
read_job(void *arg)
{
    struct job *j = arg;
    struct datafile *f = j->file;
    struct stat st;
    ssize_t n = TEMP_FAILURE_RETRY(read(f->fd, j->into, j->n));
    if (n < 0 || fstat(f->fd, &st) != 0) {
        j->e = fail_errno("reading", f->path);
        return;
    }
    struct datafile_id now = id_of(&st);
    if (now.size != f->id.size || now.changed_ns != f->id.changed_ns)
        j->e = FAIL(ERR_INVALID, "'%s' was changed while it was read", f->path);
    j->got = (size_t)n;
}

struct err *
datafile_read(struct datafile *f, size_t n, struct str *to)
{
    str_reserve(to, n);
    struct job j = {.file = f, .into = to->p + to->len, .n = n};
    offload(read_job, &j);
    PASS(j.e);
    to->len += j.got;
    to->p[to->len] = '\0';
    return NULL;
}

static void
add_job(void *arg)
{
    struct job *j = arg;
    const char *p = j->from;
    for (size_t left = j->n; left;) {
        ssize_t n = TEMP_FAILURE_RETRY(write(j->file->fd, p, left));
        if (n < 0) {
            j->e = fail_errno("writing", j->file->path);
            return;
        }
        p += n;
        left -= (size_t)n;
    }
    if (j->sync && fsync(j->file->fd) != 0)
        j->e = fail_errno("writing", j->file->path);
}

struct err *
datafile_add(struct datafile *f, const void *bytes, size_t n, bool sync)
{
    struct job j = {.file = f, .from = bytes, .n = n, .sync = sync};
    offload(add_job, &j);
    return j.e;
}

/* ---- folders --------------------------------------------------------------- */

struct listing {
    const char *path, *match;
    size_t max;
    struct datafile_names found;
    struct err *e;
};

void
datafile_names_fini(struct datafile_names *n)
{
    file_names_free(n->names, n->n);
    free(n->sizes);
    *n = (struct datafile_names){0};
}

static bool
is_meant(const struct listing *l, const char *name, struct stat *ret_st)
{
    if (name[0] == '.' || (l->match && !str_glob(l->match, name)))
        return false;
    AUTO(freep) char *path = path_join(l->path, name);
    return lstat(path, ret_st) == 0 && S_ISREG(ret_st->st_mode);
}

static void
list_job(void *arg)
{
    struct listing *l = arg;
    struct datafile_names *f = &l->found;
    char **all = NULL;
    size_t n = 0;
    l->e = dir_list(l->path, &all, &n);
    if (l->e)
        return;
    f->names = xcalloc(n + 1, sizeof *f->names);
    f->sizes = xcalloc(n + 1, sizeof *f->sizes);
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (!is_meant(l, all[i], &st))
            continue;
        f->sizes[f->n] = st.st_size;
        f->names[f->n++] = all[i];
        all[i] = NULL;
    }
    file_names_free(all, n);
    if (f->n > l->max)
        l->e =
            FAIL(ERR_LIMIT, "'%s' has %zu files, more than %zu; write their names to a text file",
                 l->path, f->n, l->max);
}

struct err *
datafile_list(const char *path, const char *match, size_t max, struct datafile_names *ret_names)
{
    struct listing l = {.path = path, .match = match, .max = max};
    offload(list_job, &l);
    if (l.e) {
        datafile_names_fini(&l.found);
        return l.e;
    }
    *ret_names = l.found;
    return NULL;
}
