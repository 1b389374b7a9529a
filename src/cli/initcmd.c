/* initcmd.c - `tutti init`: a first workflow in an empty folder, that runs as it is. */
#include "cli/cli.h"
#include "rt/file.h"
#include <stdio.h>
#include <string.h>

static const char first[] =
    "# A first workflow. Run it:     tutti run -i \"Hello\"\n"
    "# with a real model:            OPENAI_API_KEY=... tutti run -m fast -i \"Hello\"\n"
    "# check it, draw it:            tutti validate, tutti graph\n"
    "\n"
    "profiles:                       # named ways to call a model\n"
    "  local: {provider: script, echo: true}         # built in: repeats the message, for trying "
    "things out\n"
    "  fast: {provider: openai, model: gpt-4o-mini, api_key: \"${OPENAI_API_KEY}\"}\n"
    "  claude: {provider: anthropic, model: claude-3-5-haiku-latest, api_key: "
    "\"${ANTHROPIC_API_KEY}\"}\n"
    "  llama: {provider: ollama, model: llama3.2}     # a model on this machine\n"
    "default_profile: local\n"
    "\n"
    "# mcp_servers:                  # tools, as other MCP clients configure them\n"
    "#   files: {command: npx, args: [-y, \"@modelcontextprotocol/server-filesystem\", ./data]}\n"
    "\n"
    "agents:\n"
    "  researcher:\n"
    "    instruction: Gather the facts about the topic and say where each comes from.\n"
    "    # servers: [files]\n"
    "  writer:\n"
    "    instruction: Write a short, plain text from the facts.\n"
    "\n"
    "workflows:\n"
    "  main: {type: chain, sequence: [researcher, writer]}\n";

static const char ignored[] = ".tutti/\n.env\n";

static int
init_main(int argc, char **argv)
{
    bool force = false;
    const struct option_def defs[] = {{"--force", .flag = &force}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 2)
        return usage_error(&cmd_init, "'%s' is one word too many", argv[2]);
    const char *dir = argc > 1 ? argv[1] : ".";
    AUTO(freep) char *file = path_join(dir, "tutti.yaml");
    AUTO(freep) char *ignore = path_join(dir, ".gitignore");
    if (file_exists(file) && !force) {
        print_shown(stderr, "tutti init: '%s' is there already; --force writes over it\n", file);
        return TUTTI_USAGE;
    }
    struct err *e = dir_make(dir, 0777);
    if (!e)
        e = file_write(file, first, strlen(first), 0644);
    if (!e && !file_exists(ignore))
        e = file_write(ignore, ignored, strlen(ignored), 0644);
    if (e)
        return fail(e);
    print_shown(stdout, "%s is there. Try it:\n\n    %s%s%stutti run -i \"Hello\"\n", file,
                argc > 1 ? "cd " : "", argc > 1 ? dir : "", argc > 1 ? " && " : "");
    return 0;
}

const struct command cmd_init = {"init", "init [FOLDER] [--force]",
                                 "write a first workflow into a folder", init_main};
