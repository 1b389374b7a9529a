/* mcpbare.c - the limit of tool calls over stdio: the same server, a C loop that writes lines and
 * counts the ones that come back. No parser, no ids looked at.
 *
 *   mcpbare CALLS IN_FLIGHT COMMAND ARG...          prints calls a second */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX      160 /* more than any has */
#define IN_FLIGHT_MAX 1000

extern char **environ;
static int to, from;

static double
now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t
server_start(char **argv)
{
    int in[2], out[2];
    pid_t pid;
    posix_spawn_file_actions_t a;
    if (pipe(in) || pipe(out))
        exit(1);
    posix_spawn_file_actions_init(&a);
    posix_spawn_file_actions_adddup2(&a, in[0], 0);
    posix_spawn_file_actions_adddup2(&a, out[1], 1);
    posix_spawn_file_actions_addclose(&a, in[1]);
    posix_spawn_file_actions_addclose(&a, out[0]);
    if (posix_spawnp(&pid, argv[0], &a, NULL, argv, environ))
        exit(1);
    close(in[0]);
    close(out[1]);
    to = in[1];
    from = out[0];
    return pid;
}

static void
say(const char *line)
{
    size_t n = strlen(line);
    if (write(to, line, n) != (ssize_t)n)
        exit(1);
}

/* At least one line has come when this returns; how many. */
static int
hear(void)
{
    char room[65536];
    int lines = 0;
    while (!lines) {
        ssize_t n = read(from, room, sizeof room);
        if (n <= 0)
            exit(1);
        for (ssize_t i = 0; i < n; i++)
            lines += room[i] == '\n';
    }
    return lines;
}

/* Calls with these ids, in one write. */
static void
call(int from_id, int to_id)
{
    static char lines[LINE_MAX * IN_FLIGHT_MAX];
    int n = 0;
    for (int id = from_id; id <= to_id; id++)
        n += snprintf(
            lines + n, LINE_MAX,
            "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{\"name\":"
            "\"echo\",\"arguments\":{\"message\":\"hello there\"}}}\n",
            id);
    say(lines);
}

int
main(int argc, char **argv)
{
    int calls = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
    int in_flight = calls > 0 ? (int)strtol(argv[2], NULL, 10) : 0;
    int sent = 0, back = 0;
    if (calls < 1 || in_flight < 1 || in_flight > IN_FLIGHT_MAX)
        return 2;
    pid_t pid = server_start(argv + 3);
    say("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
        "\"2025-06-18\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bare\",\"version\":\"1\"}}}"
        "\n");
    hear();
    say("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    call(0, 0);
    hear(); /* it tells something about itself first: a few lines too many are counted */
    double begin = now_s();
    while (back < calls) {
        int more = in_flight - (sent - back);
        if (more > calls - sent)
            more = calls - sent;
        if (more > 0)
            call(sent + 1, sent + more);
        sent += more;
        back += hear();
    }
    printf("%.0f\n", calls / (now_s() - begin));
    kill(pid, 9);
    waitpid(pid, NULL, 0);
    return 0;
}
