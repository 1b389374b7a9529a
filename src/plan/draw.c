/* draw.c - pictures as text, mermaid and dot. What is drawn is what runs. */
#include "base/printable.h"
#include "plan/picture.h"
#include <limits.h>
#include <string.h>

#define ENDS "end" /* where a session has none to go on to */

/* ---- text ------------------------------------------------------------------ */

/* Names of stored definitions and what tools said of failures are unchecked: they must not move a
 * terminal's cursor. */
static void
name_add(struct str *to, const char *name)
{
    printable_add(to, name, strlen(name));
}

static void
said_add(struct str *to, const char *before, const char *text, const char *after)
{
    if (!text)
        return;
    str_add(to, before);
    name_add(to, text);
    str_add(to, after);
}

static void
text_way(const struct picture_way *w, struct str *to)
{
    str_add(to, "-> ");
    name_add(to, w->to ? w->to->id : ENDS);
    said_add(to, w->rare ? "  [" : "  [when ", w->when, "]");
}

/* One that always goes on to the same fits into the line of its node. */
static bool
is_plain_way(const struct picture_way *ways, size_t n)
{
    return n == 1 && !ways[0].when;
}

static void
text_ways(const struct picture_way *ways, size_t n, unsigned depth, struct str *to)
{
    for (size_t i = 0; i < n; i++) {
        str_addf(to, "%*s", (int)(2 * depth + 2), "");
        text_way(&ways[i], to);
        str_addc(to, '\n');
    }
}

static void
text_node(const struct picture *in, const struct picture_node *n, unsigned depth, struct str *to)
{
    static const char marks[] = {
        [PICTURE_PLAIN] = ' ',     [PICTURE_UNREACHED] = '.', [PICTURE_RUNNING] = '>',
        [PICTURE_COMPLETED] = '+', [PICTURE_FAILED] = 'x',    [PICTURE_SKIPPED] = '-',
        [PICTURE_CANCELLED] = '!'};
    str_addf(to, "%*s", (int)(2 * depth + 2), "");
    if (n->state)
        str_addf(to, "%c ", marks[n->state]);
    if (in->about && !n->invented)
        str_add(to, "? ");
    name_add(to, n->id);
    if (strcmp(n->label, n->id) != 0) {
        str_add(to, " (");
        name_add(to, n->label);
        str_addc(to, ')');
    }
    for (size_t k = 0; k < n->ndeps; k++) {
        str_add(to, k ? ", " : "  <- ");
        name_add(to, in->nodes[n->deps[k]]->id);
    }
    said_add(to, "  [when ", n->when, "]");
    said_add(to, "  waits for ", n->hears, "");
    said_add(to, "  [undo by ", n->undo, "]");
    if (n->child && n->child->about)
        str_addf(to, "  %s: %s", n->child->type, n->child->about);
    said_add(to, "  ", n->note, "");
    if (is_plain_way(n->ways, n->nways)) {
        str_add(to, "  ");
        text_way(n->ways, to);
    }
    str_addc(to, '\n');
    if (!is_plain_way(n->ways, n->nways))
        text_ways(n->ways, n->nways, depth + 2, to);
}

static void
text_graph(const struct picture *p, unsigned depth, struct str *to)
{
    text_ways(p->ways, p->nways, depth, to);
    for (size_t i = 0; i < p->nnodes; i++) {
        text_node(p, p->nodes[i], depth, to);
        if (p->nodes[i]->child)
            text_graph(p->nodes[i]->child, depth + 1, to);
    }
}

void
picture_text(const struct picture *p, struct str *to)
{
    name_add(to, p->title);
    str_addf(to, " (%s)", p->type);
    if (p->about)
        str_addf(to, "  %s", p->about);
    said_add(to, "  ", p->note, "");
    str_addc(to, '\n');
    text_graph(p, 0, to);
}

/* ---- mermaid and dot: nodes get numbers as names, texts are quoted --------- */

struct drawing {
    struct str *to;
    unsigned next;
    bool dot;
    unsigned of_state[PICTURE_CANCELLED + 1]; /* how many nodes are in it */
};

/* In mermaid's labels a '<' begins markup, and a '#' or '&' the name of a letter; "%%{" gives
 * orders wherever it stands. NULL: it stands for itself. */
static const char *
mermaid_word(const char *p)
{
    const bool names = p[1] == '#' || (p[1] >= 'a' && p[1] <= 'z') || (p[1] >= 'A' && p[1] <= 'Z');
    return *p == '"'                  ? "#quot;"
           : *p == '<'                ? "#lt;"
           : *p == '#'                ? "#35;"
           : *p == '&' && names       ? "#amp;"
           : *p == '%' && p[1] == '%' ? "#37;"
                                      : NULL;
}

static const char *
dot_word(const char *p)
{
    return *p == '"' ? "\\\"" : *p == '\\' ? "\\\\" : NULL;
}

static void
escaped(struct str *to, const char *text, bool dot)
{
    AUTO(str_fini) struct str shown = STR_INIT;
    printable_add(&shown, text, strlen(text));
    for (const char *p = str_c(&shown); *p; p++) {
        const char *word = dot ? dot_word(p) : mermaid_word(p);
        if (word)
            str_add(to, word);
        else
            str_addc(to, *p);
    }
}

static void
quoted(struct str *to, const char *text, bool dot)
{
    str_addc(to, '"');
    escaped(to, text, dot);
    str_addc(to, '"');
}

static void
line_add(struct str *to, const char *what, const char *text, bool dot)
{
    if (!text)
        return;
    str_addf(to, "%s%s", dot ? "\\n" : "<br/>", what);
    escaped(to, text, dot);
}

/* Who and how it went in the first line; then what it waits for, and who undoes it. */
static void
label_add(struct drawing *d, const struct picture_node *n)
{
    AUTO(str_fini) struct str text = STR_INIT;
    str_add(&text, n->id);
    if (strcmp(n->label, n->id) != 0)
        str_addf(&text, ": %s", n->label);
    if (n->note)
        str_addf(&text, " (%s)", n->note);
    str_addc(d->to, '"');
    escaped(d->to, str_c(&text), d->dot);
    line_add(d->to, "waits for ", n->hears, d->dot);
    line_add(d->to, "undo by ", n->undo, d->dot);
    str_addc(d->to, '"');
}

static void
box_add(struct drawing *d, const struct picture_node *n, unsigned name)
{
    static const char *const fill[] = {
        [PICTURE_UNREACHED] = "gray95",    [PICTURE_RUNNING] = "lightblue",
        [PICTURE_COMPLETED] = "palegreen", [PICTURE_FAILED] = "salmon",
        [PICTURE_SKIPPED] = "gray85",      [PICTURE_CANCELLED] = "khaki"};
    const bool decides = n->child && n->child->about, hears = n->hears && !decides;
    d->of_state[n->state]++;
    if (d->dot) {
        str_addf(d->to, "n%u [label=", name);
        label_add(d, n);
        str_add(d->to, decides ? ", shape=hexagon" : hears ? ", shape=parallelogram" : "");
        if (n->state)
            str_addf(d->to, ", style=\"%sfilled\", fillcolor=%s",
                     decides || hears ? ""
                     : n->invented    ? "rounded,dashed,"
                                      : "rounded,",
                     fill[n->state]);
        else
            str_add(d->to, hears ? ", style=solid" : "");
        str_add(d->to, "];\n");
        return;
    }
    str_addf(d->to, "n%u%s", name, decides ? "{{" : hears ? "[/" : "[");
    label_add(d, n);
    str_add(d->to, decides ? "}}" : hears ? "/]" : "]");
    if (n->state)
        str_addf(d->to, ":::s%u", (unsigned)n->state);
    str_addc(d->to, '\n');
}

#define TO_THE_END UINT_MAX /* of the box that the arrow comes from */

struct arrow {
    unsigned from, to;
    const char *when; /* what it depends on, if anything */
    bool dotted;      /* from the outside of a box into it, or rare */
    unsigned box;     /* of TO_THE_END */
};

static void
arrow_add(struct drawing *d, unsigned depth, struct arrow a)
{
    const bool said = a.when != NULL;
    str_addf(d->to, "%*sn%u %s", (int)(2 * depth + 2), "", a.from,
             d->dot     ? "->"
             : a.dotted ? "-.->"
                        : "-->");
    if (said && !d->dot) {
        str_addc(d->to, '|');
        quoted(d->to, a.when, false);
        str_addc(d->to, '|');
    }
    if (a.to == TO_THE_END)
        str_addf(d->to, " e%u", a.box);
    else
        str_addf(d->to, " n%u", a.to);
    if (d->dot && (a.dotted || said)) {
        str_add(d->to, a.dotted ? " [style=dotted" : " [");
        str_add(d->to, said ? a.dotted ? ", label=" : "label=" : "");
        if (said)
            quoted(d->to, a.when, true);
        str_addc(d->to, ']');
    }
    str_add(d->to, d->dot ? ";\n" : "\n");
}

/* ---- what has states: arrows are its ways ------------------------------------ */

struct box {
    const struct picture *in;
    const unsigned *names; /* of its nodes */
    unsigned name;         /* of the node around it */
    unsigned depth;
};

static void
arrow_of_way(struct drawing *d, const struct box *b, unsigned from, const struct picture_way *w)
{
    const struct arrow a = {.from = from,
                            .to = w->to ? b->names[w->to->index] : TO_THE_END,
                            .when = w->when,
                            .dotted = w->rare || from == b->name,
                            .box = b->name};
    arrow_add(d, b->depth, a);
}

static bool
ends_somewhere(const struct picture *p)
{
    for (size_t i = 0; i < p->nways; i++) {
        if (!p->ways[i].to)
            return true;
    }
    for (size_t i = 0; i < p->nnodes; i++) {
        for (size_t k = 0; k < p->nodes[i]->nways; k++) {
            if (!p->nodes[i]->ways[k].to)
                return true;
        }
    }
    return false;
}

static void
end_add(struct drawing *d, const struct box *b)
{
    if (ends_somewhere(b->in))
        str_addf(d->to,
                 d->dot ? "%*se%u [label=\"" ENDS "\", shape=circle];\n"
                        : "%*se%u((\"" ENDS "\"))\n",
                 (int)(2 * b->depth + 4), "", b->name);
}

static void
shape_ways(struct drawing *d, const struct box *b)
{
    for (size_t i = 0; i < b->in->nways; i++)
        arrow_of_way(d, b, b->name, &b->in->ways[i]);
    for (size_t i = 0; i < b->in->nnodes; i++) {
        const struct picture_node *n = b->in->nodes[i];
        for (size_t k = 0; k < n->nways; k++)
            arrow_of_way(d, b, b->names[i], &n->ways[k]);
    }
}

static void shape_graph(struct drawing *d, const struct picture *p, unsigned depth, unsigned *from);

static void
shape_inside(struct drawing *d, const struct picture_node *n, unsigned name, unsigned depth)
{
    AUTO(str_fini) struct str title = STR_INIT;
    str_add(&title, n->child->title);
    if (n->child->about)
        str_addf(&title, ": %s", n->child->about);
    str_addf(d->to, "%*ssubgraph %s%u%s", (int)(2 * depth + 2), "", d->dot ? "cluster_" : "g", name,
             d->dot ? " { label=" : "[");
    quoted(d->to, str_c(&title), d->dot);
    str_add(d->to, d->dot ? ";\n" : "]\n");
    unsigned first = d->next;
    AUTO(freep) unsigned *names = xcalloc(n->child->nnodes, sizeof *names);
    const struct box box = {n->child, names, name, depth};
    shape_graph(d, n->child, depth + 1, names);
    end_add(d, &box);
    str_addf(d->to, "%*s%s\n", (int)(2 * depth + 2), "", d->dot ? "}" : "end");
    if (n->child->has_states) {
        shape_ways(d, &box);
        return;
    }
    if (!n->child->about && n->child->nnodes) {
        arrow_add(d, depth, (struct arrow){name, first, NULL, true});
        return;
    }
    for (size_t i = 0; i < n->child->nnodes; i++) {
        if (!n->child->nodes[i]->ndeps)
            arrow_add(d, depth, (struct arrow){name, names[i], n->child->nodes[i]->when, true});
    }
}

/* A graph inside a node is a box. A dotted arrow leads into it: to its first node, or, where it is
 * decided while it runs, to each that may be called. */
static void
shape_graph(struct drawing *d, const struct picture *p, unsigned depth, unsigned *name)
{
    for (size_t i = 0; i < p->nnodes; i++) {
        name[i] = d->next++;
        str_addf(d->to, "%*s", (int)(2 * depth + 2), "");
        box_add(d, p->nodes[i], name[i]);
        if (p->nodes[i]->child && p->nodes[i]->child->nnodes)
            shape_inside(d, p->nodes[i], name[i], depth);
    }
    for (size_t i = 0; i < p->nnodes; i++) {
        const struct picture_node *n = p->nodes[i];
        for (size_t k = 0; k < n->ndeps; k++)
            arrow_add(d, depth, (struct arrow){name[n->deps[k]], name[i], n->when, false});
    }
}

/* A workflow that decides has a node of its own, from which the others are called. */
static void
shape_whole(struct drawing *d, const struct picture *p)
{
    if (p->about) {
        const struct picture_node whole = {
            .id = p->title, .label = p->type, .child = (struct picture *)(uintptr_t)p};
        str_add(d->to, "  ");
        d->next = 1;
        box_add(d, &whole, 0);
        shape_inside(d, &whole, 0, 0);
        return;
    }
    AUTO(freep) unsigned *names = xcalloc(p->nnodes, sizeof *names);
    shape_graph(d, p, 0, names);
}

void
picture_mermaid(const struct picture *p, struct str *to)
{
    static const char *const style[] = {[PICTURE_UNREACHED] = "fill:whitesmoke,color:gray",
                                        [PICTURE_RUNNING] = "fill:lightblue",
                                        [PICTURE_COMPLETED] = "fill:palegreen",
                                        [PICTURE_FAILED] = "fill:salmon",
                                        [PICTURE_SKIPPED] = "fill:lightgray,stroke-dasharray:4",
                                        [PICTURE_CANCELLED] = "fill:khaki"};
    struct drawing d = {.to = to};
    str_add(to, "flowchart TD\n");
    shape_whole(&d, p);
    for (unsigned s = PICTURE_UNREACHED; s <= PICTURE_CANCELLED; s++) {
        if (d.of_state[s])
            str_addf(to, "  classDef s%u %s\n", s, style[s]);
    }
}

void
picture_dot(const struct picture *p, struct str *to)
{
    struct drawing d = {.to = to, .dot = true};
    str_add(to, "digraph ");
    quoted(to, p->title, true);
    str_add(to, " {\n");
    if (p->note) {
        str_add(to, "  label=");
        quoted(to, p->note, true);
        str_add(to, ";\n");
    }
    str_add(to, "  graph [fontname=\"sans-serif\"];\n"
                "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
                "  edge [fontname=\"sans-serif\", fontsize=11];\n");
    shape_whole(&d, p);
    str_add(to, "}\n");
}

/* ---- a plan as it is defined ----------------------------------------------- */

static void
draw(const struct plan *p, struct str *to, void (*as)(const struct picture *p, struct str *to))
{
    struct arena *a = arena_new(0);
    as(picture_make(a, p), to);
    arena_free(a);
}

void
plan_draw_text(const struct plan *p, struct str *to)
{
    draw(p, to, picture_text);
}

void
plan_draw_mermaid(const struct plan *p, struct str *to)
{
    draw(p, to, picture_mermaid);
}

void
plan_draw_dot(const struct plan *p, struct str *to)
{
    draw(p, to, picture_dot);
}
