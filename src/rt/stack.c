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

struct stack *
stack_take(struct rt *rt)
{
    struct stack *s = rt->free_stacks;
    if (!s) {
        rt->stacks++;
        return stack_map();
    }
    rt->free_stacks = s->next;
    rt->stacks_free--;
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
        stack_unmap(s);
    }
}
