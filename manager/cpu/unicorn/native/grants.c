/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses that need no Python. While a device answers one, it may grant the next ones: a register
 * reads steadily if a read changes nothing and gives the same again; it absorbs if a write only adds
 * its bytes to a buffer. Both hold until something happens.
 *
 * What a device knows changes only while Python runs, and Python runs only inside ask() and between
 * two runs. So grants are numbered by what Python has done: any call makes the older ones void, and
 * there is nothing to forget. A read that was steady has changed nothing, and does not count.
 *
 * What is absorbed is in the buffer that the device itself would have put it into, so there is
 * nothing to hand over later, and no order or time to restore.
 */
#include <string.h>

#include "engine.h"

static inline uint64_t bits_of(int size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

uint64_t read_device(struct engine *e, uint64_t place, PyObject *read, uint64_t at, int size)
{
    struct grants *g = &e->grants;
    const struct steady *known = steady_at(g, place, e->current);
    if (known != NULL)
        return known->value;
    uint64_t generation = g->generation;
    uint64_t value = ask(e, read, 2, (uint64_t[]){at, (uint64_t)size}) & bits_of(size);
    if (g->steady == size && e->raised == NULL) {
        g->generation = generation;
        g->reads[grant_slot(place) % STEADY_READS] =
            (struct steady){place, generation, e->current, value};
    }
    return value;
}

static bool append(const struct absorber *to, int size, uint64_t value)
{
    if (to->buffer == NULL)
        return true;
    Py_ssize_t length = PyByteArray_Size(to->buffer);
    if (length > to->most - size)
        return false;
    if (PyByteArray_Resize(to->buffer, length + size) < 0) {
        PyErr_Clear(); /* the device will meet with the same */
        return false;
    }
    memcpy(PyByteArray_AsString(to->buffer) + length, &value, size); /* both are little-endian */
    return true;
}

void write_device(struct engine *e, uint64_t place, PyObject *write, uint64_t at, int size,
                  uint64_t value)
{
    struct grants *g = &e->grants;
    const struct absorber *known = absorber_at(g, place, e->current);
    value &= bits_of(size);
    if (known != NULL && append(known, size, value))
        return;
    ask(e, write, 3, (uint64_t[]){at, (uint64_t)size, value});
    /* An access that the bus has split grants nothing: its parts belong to several registers. */
    if (g->absorbs == 1 && g->wanted_size == size && e->raised == NULL) {
        struct absorber *slot = &g->absorbers[grant_slot(place) % ABSORBERS];
        Py_XDECREF(slot->buffer);
        *slot = (struct absorber){place, g->generation, e->current, g->wanted_buffer,
                                  g->wanted_most};
        g->wanted_buffer = NULL;
    }
}

void suspend_grants(struct engine *e)
{
    struct grants *g = &e->grants;
    g->generation++;
    g->steady = g->absorbs = 0;
    Py_CLEAR(g->wanted_buffer);
}

void end_grants(struct engine *e)
{
    suspend_grants(e);
    for (int n = 0; n < ABSORBERS; n++)
        Py_CLEAR(e->grants.absorbers[n].buffer);
}

static int checked_size(long size)
{
    if (PyErr_Occurred())
        return 0;
    if (size == 1 || size == 2 || size == 4)
        return (int)size;
    PyErr_Format(PyExc_ValueError, "an access has 1, 2 or 4 bytes, not %ld", size);
    return 0;
}

PyObject *engine_steady(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    int size = 1;
    if (count > 1) {
        PyErr_SetString(PyExc_TypeError, "steady(size=1) takes one argument");
        return NULL;
    }
    if (count == 1 && (size = checked_size(PyLong_AsLong(args[0]))) == 0)
        return NULL;
    ((struct engine *)self)->grants.steady += size;
    Py_RETURN_NONE;
}

PyObject *engine_absorb(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "most", "size", NULL};
    struct grants *g = &((struct engine *)self)->grants;
    PyObject *buffer;
    Py_ssize_t most = PTRDIFF_MAX;
    long size = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|nl:absorb", names, &buffer, &most, &size) ||
        checked_size(size) == 0)
        return NULL;
    if (buffer != Py_None && !PyByteArray_CheckExact(buffer)) {
        PyErr_SetString(PyExc_TypeError, "absorb(buffer) takes a bytearray or None");
        return NULL;
    }
    replace_reference(&g->wanted_buffer, buffer == Py_None ? NULL : Py_NewRef(buffer));
    g->wanted_most = most;
    g->wanted_size = (int)size;
    g->absorbs++;
    Py_RETURN_NONE;
}
