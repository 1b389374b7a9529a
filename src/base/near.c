/* near.c - optimal string alignment distance on three rows. */
#include "base/near.h"
#include <ctype.h>
#include <string.h>

#define NAME_MAX_LEN 64

unsigned
near_distance(const char *a, const char *b, unsigned limit)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > NAME_MAX_LEN || m > NAME_MAX_LEN || (n > m ? n - m : m - n) > limit)
        return limit + 1;
    unsigned rows[3][NAME_MAX_LEN + 1];
    unsigned *two = rows[0], *one = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        one[j] = (unsigned)j;
    unsigned before = 0, least = 0; /* of the last two rows: no later one goes below both */
    for (size_t i = 1; i <= n && MIN(before, least) <= limit; i++) {
        before = least;
        least = now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            unsigned best = one[j - 1] + (ca != cb);
            best = MIN(best, MIN(one[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]))
                best = MIN(best, two[j - 2] + 1);
            now[j] = best;
            least = MIN(least, best);
        }
        unsigned *free_row = two;
        two = one, one = now, now = free_row;
    }
    return MIN(one[m], limit + 1);
}

void
near_offer(struct near *n, const char *candidate)
{
    size_t len = strlen(n->wanted);
    unsigned limit = len <= 2 ? 1 : len <= 5 ? 2 : 3;
    unsigned d = near_distance(n->wanted, candidate, limit);
    if (d > limit || d >= strlen(candidate) || (n->best && d >= n->distance))
        return;
    n->best = candidate;
    n->distance = d;
}
