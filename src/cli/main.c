/* main.c - the table of commands. */
#include "base/near.h"
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct command *const commands[] = {
    /* clang-format off */
    &cmd_run,
    &cmd_validate,
    &cmd_graph,
    &cmd_schema,
    &cmd_runs, &cmd_stats, &cmd_test,
    &cmd_agents,
    &cmd_gate,
    &cmd_send,
    &cmd_mcp,
    &cmd_init,
    &cmd_doctor,
    &cmd_batch,
    &cmd_bench,
    &cmd_torture,
    &cmd_version,
    /* clang-format on */
};

static void
help(FILE *to)
{
    fprintf(to, "tutti runs workflows of agents, durably.\n\nusage: tutti COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\n`tutti COMMAND --help` tells more. Exit codes: 0 done, 1 failed, 2 usage, 3 "
                "invalid file, "
                "4 waiting, 130 interrupted.\n");
}

static bool
is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Wherever it stands among the words, but not as what is said to a workflow. */
static bool
wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i]) && strcmp(argv[i - 1], "-i") != 0 &&
            strcmp(argv[i - 1], "--input") != 0)
            return true;
    }
    return false;
}

/* A full disk must not look like a result. A reader that has left has what it wanted. */
static int
output_end(int code)
{
    struct stat st;
    const bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (written || fstat(STDOUT_FILENO, &st) != 0 || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        return code;
    fprintf(stderr, "tutti: the output could not be written: is the disk full?\n");
    return code ? code : TUTTI_FAILED;
}

static int
command_run(const struct command *c, int argc, char **argv)
{
    if (!wants_help(argc, argv))
        return output_end(c->run(argc, argv));
    printf("usage: tutti %s\n\n%s\n", c->usage, c->summary);
    return 0;
}

int
main(int argc, char **argv)
{
    static char help_word[] = "--help";
    char *helped[] = {argv[0], NULL, help_word, NULL};
    if (argc < 2) {
        help(stderr);
        return TUTTI_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) { /* help COMMAND */
        helped[1] = argv[2];
        argv = helped;
        argc = 3;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || is_help(name)) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    struct near near = NEAR_INIT(name);
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return command_run(commands[i], argc - 1, argv + 1);
        near_offer(&near, commands[i]->name);
    }
    print_shown(stderr, "tutti: there is no command '%s'%s%s%s\n", name,
                near.best ? " (did you mean '" : "", near.best ? near.best : "",
                near.best ? "'?)" : "");
    return TUTTI_USAGE;
}
