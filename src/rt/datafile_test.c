/* datafile_test.c - pieces of files in a fiber, with real threads and in the simulated world. */
#include "rt/datafile.h"
#include "rt/file.h"
#include "rt/rttest.h"
#include <sys/stat.h>
#include <unistd.h>

struct scene {
    struct seen seen; /* first: what is said */
    char *dir;
};

static void
remove_all(const char *dir)
{
    AUTO(freep) char *rm = xasprintf("rm -r %s", dir);
    assert_int_equal(system(rm), 0);
}

/* In both worlds; what was seen, with the folder's name cut out. */
static char *
played(void (*fn)(void *), bool simulated)
{
    char dir[] = "/tmp/tutti-rt-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct scene s = {.dir = dir};
    in_world(simulated, 1, fn, &s);
    remove_all(dir);
    struct str out = STR_INIT;
    const char *at = str_c(&s.seen.log);
    for (const char *found; (found = strstr(at, dir)); at = found + strlen(dir))
        str_addf(&out, "%.*sDIR", (int)(found - at), at);
    str_add(&out, at);
    str_fini(&s.seen.log);
    return str_steal(&out);
}

static void
both(void (*fn)(void *), const char *want)
{
    for (int simulated = 0; simulated < 2; simulated++) {
        AUTO(freep) char *got = played(fn, simulated);
        assert_string_equal(got, want);
    }
}

static void
put(const struct scene *s, const char *name, const char *text)
{
    AUTO(freep) char *path = path_join(s->dir, name);
    err_drop(file_write(path, text, strlen(text), 0600));
}

static void
show(struct scene *s, const char *name)
{
    AUTO(freep) char *path = path_join(s->dir, name);
    AUTO(str_fini) struct str text = STR_INIT;
    say_text(&s->seen, file_read(path, 1000, &text));
    str_addf(&s->seen.log, "%s;", str_c(&text));
}

static void
reads(void *arg)
{
    struct scene *s = arg;
    struct datafile *f = NULL;
    AUTO(freep) char *path = path_join(s->dir, "a.txt");
    AUTO(str_fini) struct str text = STR_INIT;
    put(s, "a.txt", "0123456789");
    say_text(&s->seen, datafile_open(path, &f));
    for (int i = 0; i < 4; i++) {
        say_text(&s->seen, datafile_read(f, 4, &text));
        str_addf(&s->seen.log, "%s;", str_c(&text));
    }
    str_addf(&s->seen.log, "%lld;", (long long)datafile_id(f).size);
    if (truncate(path, 3) != 0)
        str_add(&s->seen.log, "?");
    say_text(&s->seen, datafile_read(f, 4, &text));
    datafile_free(f);
    datafile_free(NULL);
    say_text(&s->seen, datafile_open(s->dir, &f));
    AUTO(freep) char *none = path_join(s->dir, "none");
    say_text(&s->seen, datafile_open(none, &f));
    AUTO(freep) char *pipe = path_join(s->dir, "pipe");
    if (mkfifo(pipe, 0600) != 0)
        str_add(&s->seen.log, "?");
    say_text(&s->seen, datafile_open(pipe, &f));
}

static void
adds(void *arg)
{
    struct scene *s = arg;
    struct datafile *f = NULL;
    AUTO(freep) char *path = path_join(s->dir, "a.txt");
    put(s, "a.txt", "0123456789");
    say_text(&s->seen, datafile_append_to(path, 4, &f));
    show(s, "a.txt");
    say_text(&s->seen, datafile_add(f, "abc", 3, false));
    say_text(&s->seen, datafile_add(f, "de", 2, true));
    say_text(&s->seen, datafile_add(f, "", 0, true));
    show(s, "a.txt");
    struct datafile *second = NULL;
    say_text(&s->seen, datafile_append_to(path, 0, &second));
    show(s, "a.txt");
    datafile_free(f);
    say_text(&s->seen, datafile_append_to(path, 100, &f));
    AUTO(freep) char *new = path_join(s->dir, "new.txt");
    say_text(&s->seen, datafile_append_to(new, 0, &f));
    datafile_free(f);
    show(s, "new.txt");
    say_text(&s->seen, datafile_append_to(s->dir, 0, &f));
    say_text(&s->seen, datafile_append_to("/dev/full", 0, &f));
}

static void
lists(void *arg)
{
    struct scene *s = arg;
    struct datafile_names names = {0};
    put(s, "b.txt", "22");
    put(s, "a.txt", "1");
    put(s, "c.eml", "");
    put(s, ".hidden.txt", "");
    AUTO(freep) char *sub = path_join(s->dir, "sub.txt"), *to = path_join(s->dir, "b.txt");
    AUTO(freep) char *link = path_join(s->dir, "link.txt");
    say_text(&s->seen, dir_make(sub, 0700));
    if (symlink(to, link) != 0)
        str_add(&s->seen.log, "?");
    static const char *const patterns[] = {NULL, "*.txt", "*.no"};
    for (size_t i = 0; i < COUNT(patterns); i++) {
        say_text(&s->seen, datafile_list(s->dir, patterns[i], 3, &names));
        for (size_t k = 0; k < names.n; k++)
            str_addf(&s->seen.log, "%s %lld;", names.names[k], (long long)names.sizes[k]);
        datafile_names_fini(&names);
    }
    say_text(&s->seen, datafile_list(s->dir, NULL, 2, &names));
    say_text(&s->seen, datafile_list(to, NULL, 2, &names));
}

static void
reading(void **state)
{
    (void)state;
    both(reads,
         "ok;ok;0123;ok;01234567;ok;0123456789;ok;0123456789;10;invalid: 'DIR/a.txt' was changed "
         "while it was read;invalid: opening 'DIR': it is not a file;missing: opening 'DIR/none': "
         "No such file or directory;invalid: opening 'DIR/pipe': it is not a file;");
}

static void
adding(void **state)
{
    (void)state;
    both(adds, "ok;ok;0123;ok;ok;ok;ok;0123abcde;limit: 'DIR/a.txt' is being written by somebody "
               "else: name another file, or wait;ok;0123abcde;"
               "invalid: 'DIR/a.txt' has 9 bytes, and 100 had "
               "been written to it;ok;ok;;invalid: opening 'DIR': Is a directory;invalid: opening "
               "'/dev/full': it is not a file;");
}

static void
listing(void **state)
{
    (void)state;
    both(lists,
         "ok;ok;a.txt 1;b.txt 2;c.eml 0;ok;a.txt 1;b.txt 2;ok;limit: 'DIR' has 3 files, more than "
         "2; write their names to a text file;missing: listing 'DIR/b.txt': Not a directory;");
}

TESTS(datafile_test, cmocka_unit_test(reading), cmocka_unit_test(adding), cmocka_unit_test(listing))
