/* stack.c - the stacks of fibers: mapped with a guard page below, pooled, known to the leak
 * checker.
 *
 * A guard costs two memory maps, of which a process has 65,530: beyond so many stacks they lie side
 * by side, with one guard for all. Fibers wait for each other, so none may wait for a stack. */
#include "rt/core.h"
#include "rt/sanitize.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLAB_STACKS 64

/* ---- memory ------------------------------------------------------------------------------------
 */

struct slab { /* stacks side by side; the guard is below the first one */
    struct slab *next;
    char *low;
    unsigned used;
};

static size_t
page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Room above a guard page. */
static char *
room_map(size_t size)
{
    const size_t page = page_size();
    char *p = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) != 0)
        abort(); /* out of memory: what is mapped keeps us below the kernel's limit of maps */
    return p + page;
}

static void
room_unmap(char *low, size_t size)
{
    munmap(low - page_size(), size + page_size());
}

static char *
slab_room(struct rt *rt)
{
    struct slab *s = rt->slabs;
    if (!s || s->used == SLAB_STACKS) {
        s = xcalloc(1, sizeof *s);
        s->low = room_map(SLAB_STACKS * STACK_SIZE);
        s->next = rt->slabs;
        rt->slabs = s;
    }
    return s->low + STACK_SIZE * s->used++;
}

static void
slabs_free(struct rt *rt)
{
    for (struct slab *s = rt->slabs, *next; s; s = next) {
        next = s->next;
        room_unmap(s->low, SLAB_STACKS * STACK_SIZE);
        free(s);
    }
}

/* ---- stacks ------------------------------------------------------------------------------------
 */

static struct stack *
stack_map(struct rt *rt)
{
    struct stack *s = xcalloc(1, sizeof *s);
    s->in_slab = rt->stacks > rt->guarded_max;
    s->low = s->in_slab ? slab_room(rt) : room_map(STACK_SIZE);
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
#if WITH_ASAN
    __lsan_unregister_root_region(s->low, s->size);
    __asan_unpoison_memory_region(s->low, s->size);
#endif
    VALGRIND_STACK_DEREGISTER(s->valgrind_id);
    if (!s->in_slab)
        room_unmap(s->low, s->size);
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
            return stack_map(rt);
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
        if (!rt->simulated || s->in_slab || spares == SPARE_MAX) {
            stack_unmap(s);
            continue;
        }
        spare_give(s);
    }
    slabs_free(rt);
}
