/* file.h - whole files and folders. Blocking, for configuration-sized content. */
#ifndef RT_FILE_H
#define RT_FILE_H
#include "base/str.h"

/* Appends the file. ERR_MISSING, ERR_DENIED, ERR_LIMIT (larger than max), ERR_INVALID (not a file).
 */
struct err *MUST file_read(const char *path, size_t max, struct str *to);
/* Writes beside it and renames: readers see the old or the new content, never a part. Synced. */
struct err *MUST file_write(const char *path, const void *bytes, size_t n, unsigned mode);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
struct err *MUST dir_make(const char *path, unsigned mode); /* parents too; existing is fine */
/* Names in the folder, sorted, without . and ..; frees with file_names_free. */
struct err *MUST dir_list(const char *path, char ***OWN ret_names, size_t *ret_n);
void file_names_free(char **OWN names, size_t n);
/* The absolute path of `path` seen from `root`, symbolic links resolved; ERR_DENIED when it is not
 * under root. The last part need not exist. malloc'd. */
struct err *MUST path_under(const char *root, const char *path, char **OWN ret_path);
char *OWN path_join(const char *dir, const char *name); /* an absolute name stays itself */
char *OWN path_dir(const char *path);                   /* "." when there is none */
/* Takes the advisory lock of the file (created if absent) without waiting; ERR_LIMIT when another
 * process holds it. Held until file_unlock or the end of the process. */
struct err *MUST file_lock(const char *path, int *ret_fd);
void file_unlock(int fd);

#endif
