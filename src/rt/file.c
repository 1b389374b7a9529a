/* file.c - whole files and folders, with errors a user can act on. */
#include "rt/file.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct err *
fail_errno(const char *doing, const char *path)
{
    int no = errno;
    enum err_kind kind = no == ENOENT || no == ENOTDIR                       ? ERR_MISSING
                         : no == EACCES || no == EPERM || no == EROFS        ? ERR_DENIED
                         : no == ENOSPC || no == EDQUOT || no == EMFILE      ? ERR_LIMIT
                         : no == EISDIR || no == ENAMETOOLONG || no == ELOOP ? ERR_INVALID
                                                                             : ERR_TRANSIENT;
    return FAIL(kind, "%s '%s': %s", doing, path, strerror(no));
}

static void
closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

struct err *
file_read(const char *path, size_t max, struct str *to)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_errno("reading", path);
    if (S_ISDIR(st.st_mode))
        return FAIL(ERR_INVALID, "reading '%s': it is a folder", path);
    size_t got = 0;
    for (;;) {
        str_reserve(to, 65536);
        ssize_t n = TEMP_FAILURE_RETRY(read(fd, to->p + to->len, 65536));
        if (n < 0)
            return fail_errno("reading", path);
        if (n == 0)
            break;
        to->len += (size_t)n;
        got += (size_t)n;
        if (got > max)
            return FAIL(ERR_LIMIT, "reading '%s': larger than %zu bytes", path, max);
    }
    str_add(to, "");
    return NULL;
}

static struct err *
write_all(int fd, const char *p, size_t n, const char *path)
{
    while (n) {
        ssize_t k = TEMP_FAILURE_RETRY(write(fd, p, n));
        if (k < 0)
            return fail_errno("writing", path);
        p += k;
        n -= (size_t)k;
    }
    return fsync(fd) == 0 ? NULL : fail_errno("writing", path);
}

struct err *
file_write(const char *path, const void *bytes, size_t n, unsigned mode)
{
    AUTO(freep) char *beside = xasprintf("%s.%d.tmp", path, (int)getpid());
    AUTO(closep) int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return fail_errno("writing", path);
    struct err *e = write_all(fd, bytes, n, path);
    if (!e && rename(beside, path) != 0)
        e = fail_errno("writing", path);
    if (e)
        unlink(beside);
    return e;
}

bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool
file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

struct err *
dir_make(const char *path, unsigned mode)
{
    AUTO(freep) char *p = xstrdup(path);
    for (char *slash = p + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(p, mode) != 0 && errno != EEXIST)
            return fail_errno("making the folder", p);
        *slash = '/';
    }
    if (mkdir(p, mode) != 0 && errno != EEXIST)
        return fail_errno("making the folder", path);
    if (!file_is_dir(path))
        return FAIL(ERR_INVALID, "'%s' is not a folder", path);
    return NULL;
}

static int
names_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct err *
dir_list(const char *path, char ***ret_names, size_t *ret_n)
{
    DIR *d = opendir(path);
    if (!d)
        return fail_errno("listing", path);
    char **names = NULL;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if ((n & (n - 1)) == 0)
            names = xrealloc(names, (n ? 2 * n : 1) * sizeof *names);
        names[n++] = xstrdup(e->d_name);
    }
    closedir(d);
    if (n)
        qsort(names, n, sizeof *names, names_order);
    *ret_names = names;
    *ret_n = n;
    return NULL;
}

void
file_names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

char *
path_join(const char *dir, const char *name)
{
    if (name[0] == '/' || !dir[0] || strcmp(dir, ".") == 0)
        return xstrdup(name);
    return xasprintf("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

char *
path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

struct err *
path_under(const char *root, const char *path, char **ret_path)
{
    AUTO(freep) char *base = realpath(root, NULL);
    if (!base)
        return fail_errno("the root folder", root);
    AUTO(freep) char *joined = path_join(base, path);
    AUTO(freep) char *real = realpath(joined, NULL);
    if (!real) {
        if (errno != ENOENT)
            return fail_errno("the path", path);
        /* Only the last part may be new; what leads there is resolved. */
        AUTO(freep) char *dir = path_dir(joined);
        AUTO(freep) char *real_dir = realpath(dir, NULL);
        if (!real_dir)
            return fail_errno("the path", path);
        real = path_join(real_dir, strrchr(joined, '/') + 1);
    }
    size_t n = strlen(base);
    bool under =
        strcmp(base, "/") == 0 || (strncmp(real, base, n) == 0 && (!real[n] || real[n] == '/'));
    if (!under)
        return FAIL(ERR_DENIED, "the path '%s' leads out of '%s'", path, root);
    *ret_path = STEAL(real);
    return NULL;
}

struct err *
file_lock(const char *path, int *ret_fd)
{
    AUTO(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno("locking", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return FAIL(ERR_LIMIT, "'%s' is locked by another process", path);
        return fail_errno("locking", path);
    }
    *ret_fd = fd;
    fd = -1;
    return NULL;
}

void
file_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}
