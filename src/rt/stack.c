/* stack.c - the stacks of fibers: mapped with a guard page below, pooled, known to the leak
 * checker. */
#include "rt/core.h"
#include "rt/sanitize.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- stacks ------------------------------------------------------------------------------------
 */

static struct stack *
stack_map(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, STACK_SIZE + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) != 0)
        abort(); /* fibers_max keeps us below the kernel's limit of maps: this is out of memory */
    struct stack *s = xcalloc(1, sizeof *s);
    s->low = p + page;
    s->size = STACK_SIZE;
    s->valgrind_id = VALGRIND_STACK_REGISTER(s->low, s->low + s->size);
#if WITH_ASAN
    __lsan_register_root_region(s->low, s->size);
#endif
    return s;
}

static void
stack_unmap(struct stack *s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
#if WITH_ASAN
    __lsan_unregister_root_region(s->low, s->size);
    __asan_unpoison_memory_region(s->low, s->size);
#endif
    VALGRIND_STACK_DEREGISTER(s->valgrind_id);
    munmap(s->low - page, s->size + page);
    free(s);
}

/* Simulated runtimes leave a few stacks to the next one of their thread: tests open thousands of
 * runtimes, and mapping the stacks would take longer than many a test. */
#define SPARE_MAX 8
static _Thread_local struct stack *spare;
static _Thread_local unsigned spares;

static struct stack *
spare_take(void)
{
    struct stack *s = spare;
    spare = s->next;
    spares--;
#if WITH_ASAN
    __lsan_register_root_region(s->low, s->size);
#endif
    return s;
}

/* What an ended runtime left on its stacks must not hide its leaks. */
static void
spare_give(struct stack *s)
{
#if WITH_ASAN
    __lsan_unregister_root_region(s->low, s->size);
#endif
    s->next = spare;
    spare = s;
    spares++;
}

struct stack *
stack_take(struct rt *rt)
{
    struct stack *s = rt->free_stacks;
    if (s) {
        rt->free_stacks = s->next;
        rt->stacks_free--;
    } else {
        rt->stacks++;
        if (!rt->simulated || !spare)
            return stack_map();
        s = spare_take();
    }
#if WITH_ASAN
    __asan_unpoison_memory_region(s->low, s->size);
#endif
    return s;
}

void
stack_give(struct rt *rt, struct stack *s)
{
    if (rt->stacks_free >= STACKS_KEPT)
        madvise(s->low, s->size, MADV_DONTNEED);
    s->next = rt->free_stacks;
    rt->free_stacks = s;
    rt->stacks_free++;
}

void
stacks_free(struct rt *rt)
{
    while (rt->free_stacks) {
        struct stack *s = rt->free_stacks;
        rt->free_stacks = s->next;
        if (!rt->simulated || spares == SPARE_MAX) {
            stack_unmap(s);
            continue;
        }
        spare_give(s);
    }
}
