/* SPDX-License-Identifier: BSD-2-Clause */
/* What devices have granted: see grants.c. Included by engine.h. */
#ifndef VMMGR_GRANTS_H
#define VMMGR_GRANTS_H

struct engine;
struct cpu;

enum { STEADY_READS = 32, ABSORBERS = 8 }; /* powers of two */

/* A register that reads so for that CPU while `generation` is the engine's. */
struct steady {
    uint64_t place;
    uint64_t generation;
    const struct cpu *cpu;
    uint64_t value;
};

/* A register whose writes only add to `buffer`, up to `most` bytes; NULL if nothing comes of them. */
struct absorber {
    uint64_t place;
    uint64_t generation;
    const struct cpu *cpu;
    PyObject *buffer;
    Py_ssize_t most;
};

struct grants {
    uint64_t generation; /* how often Python may have changed something: older grants are over */
    int steady;          /* bytes of the read under way that devices have called steady */
    int absorbs;         /* how often devices have said of the write under way that it absorbs, */
    int wanted_size;     /* and the last of them what: its size, */
    PyObject *wanted_buffer; /* into what, */
    Py_ssize_t wanted_most;  /* and how much */
    struct steady reads[STEADY_READS];
    struct absorber absorbers[ABSORBERS]; /* each owns its buffer */
};

/* A port or a physical address, and the size of the access to it; never 0. */
static inline uint64_t port_place(uint32_t port, int size)
{
    return (uint64_t)size << 56 | port;
}

static inline uint64_t memory_place(uint64_t address, int size)
{
    return (uint64_t)size << 56 | UINT64_C(1) << 55 | address;
}

static inline unsigned grant_slot(uint64_t place)
{
    return (unsigned)(place ^ place >> 4);
}

/* What is granted for a register now, or NULL. */
static inline const struct steady *steady_at(const struct grants *g, uint64_t place,
                                             const struct cpu *current)
{
    const struct steady *s = &g->reads[grant_slot(place) % STEADY_READS];
    bool holds = s->place == place && s->generation == g->generation && s->cpu == current;
    return holds ? s : NULL;
}

static inline struct absorber *absorber_at(struct grants *g, uint64_t place,
                                           const struct cpu *current)
{
    struct absorber *a = &g->absorbers[grant_slot(place) % ABSORBERS];
    bool holds = a->place == place && a->generation == g->generation && a->cpu == current;
    return holds ? a : NULL;
}

/* Asks a device at `place`, by its methods, for a read or a write of `size` bytes at `at`, unless
 * it has granted the answer. What Python raises is kept: see ask(). */
uint64_t read_device(struct engine *e, uint64_t place, PyObject *read, uint64_t at, int size);
void write_device(struct engine *e, uint64_t place, PyObject *write, uint64_t at, int size,
                  uint64_t value);
/* Nothing is granted any more. */
void end_grants(struct engine *e);
/* Any Python of the machine is about to run. */
void suspend_grants(struct engine *e);
PyObject *engine_steady(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *engine_absorb(PyObject *self, PyObject *args, PyObject *kwargs);

#endif
