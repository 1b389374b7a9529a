/* datafile.h - large files, a piece at a time: read from the front, or added to at the end.
 *
 * Both wait on a thread while the disk works (worker.h). A file that is read has an identity, its
 * size and when it was last changed: whoever goes on with it later can see that it is still the
 * same. One that is added to can be cut back to where it was known to be good. */
#ifndef RT_DATAFILE_H
#define RT_DATAFILE_H
#include "base/str.h"
#include "rt/fiber.h"

struct datafile_id {
    int64_t size, changed_ns; /* bytes; since 1970 */
};

struct datafile;
/* ERR_MISSING, ERR_DENIED, ERR_INVALID (a folder, a device, a pipe). */
struct err *MUST datafile_open(const char *path, struct datafile **OWN ret_file) YIELDS;
/* Made when it is not there, and cut to `keep` bytes; ERR_INVALID when it has fewer. Locked as long
 * as it is open, where the file system can: ERR_LIMIT when somebody else has it open so. */
struct err *MUST datafile_append_to(const char *path, int64_t keep,
                                    struct datafile **OWN ret_file) YIELDS;
void datafile_free(struct datafile *OWN f); /* accepts NULL */

struct datafile_id datafile_id(const struct datafile *f); /* when it was opened */
/* Appends up to n bytes to `to`; none are added at the end. ERR_INVALID: the file is not the one
 * that was opened any more. */
struct err *MUST datafile_read(struct datafile *f, size_t n, struct str *to) YIELDS;
/* Adds the bytes at the end; sync: they are safe when this returns. */
struct err *MUST datafile_add(struct datafile *f, const void *bytes, size_t n, bool sync) YIELDS;

/* The names of the files in a folder, sorted, and how large each is: none that begins with a dot,
 * no folder, no link; with `match` (str_glob) only those. ERR_LIMIT: more than max. */
struct datafile_names {
    char **names; /* frees with datafile_names_fini */
    int64_t *sizes;
    size_t n;
};
struct err *MUST datafile_list(const char *path, const char *match, size_t max,
                               struct datafile_names *ret_names) YIELDS;
void datafile_names_fini(struct datafile_names *n);

#endif
