/* main.c - the table of commands. */
#include "base/near.h"
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

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

int
main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return TUTTI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    struct near near = NEAR_INIT(name);
    for (size_t i = 0; i < COUNT(commands); i++) {
        const struct command *c = commands[i];
        if (strcmp(c->name, name) == 0) {
            if (argc > 2 && strcmp(argv[2], "--help") == 0) {
                printf("usage: tutti %s\n\n%s\n", c->usage, c->summary);
                return 0;
            }
            return c->run(argc - 1, argv + 1);
        }
        near_offer(&near, c->name);
    }
    fprintf(stderr, "tutti: there is no command '%s'%s%s%s\n", name,
            near.best ? " (did you mean '" : "", near.best ? near.best : "",
            near.best ? "'?)" : "");
    return TUTTI_USAGE;
}
