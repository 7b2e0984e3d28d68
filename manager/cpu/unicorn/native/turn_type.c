/* SPDX-License-Identifier: BSD-2-Clause */
/* Methods of the engine about turns: whose it is, until when, and whether there is anything to do. */
#include "engine.h"

PyObject *engine_get_current(PyObject *self, void *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    return e != NULL ? PyLong_FromLong(e->current->number) : NULL;
}

PyObject *engine_get_turn(PyObject *self, void *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    return Py_BuildValue("(iKK)", e->current->number, (unsigned long long)e->turn_end,
                         (unsigned long long)e->draws);
}

int engine_set_turn(PyObject *self, PyObject *value, void *unused)
{
    struct engine *e = opened(self);
    unsigned long long end, draws;
    int number;
    (void)unused;
    if (e == NULL || value == NULL || !PyArg_ParseTuple(value, "iKK", &number, &end, &draws))
        return -1;
    if (number < 0 || number >= e->cpu_count || running_engine == e) {
        PyErr_SetString(PyExc_ValueError, "there is no such CPU, or the engine is running");
        return -1;
    }
    bank_switch(e, e->cpus[number]);
    e->turn_end = end;
    e->draws = draws;
    return 0;
}

PyObject *engine_follow_seed(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long seed, jitter;
    int tears;
    if (e == NULL || !PyArg_ParseTuple(args, "KKp", &seed, &jitter, &tears))
        return NULL;
    e->seeded = true;
    e->seed = seed;
    e->draws = 0;
    e->jitter = jitter * TICKS_PER_NS;
    e->tears = tears;
    Py_RETURN_NONE;
}

PyObject *engine_get_breaks(PyObject *self, void *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    uint64_t count = e->break_count < BREAKS_KEPT ? e->break_count : BREAKS_KEPT;
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint64_t n = 0; list != NULL && n < count; n++) {
        const struct break_ *b = &e->breaks[(e->break_count - count + n) % BREAKS_KEPT];
        PyObject *item = Py_BuildValue("(KiKiiNK)", (unsigned long long)b->at, b->cpu,
                                       (unsigned long long)b->address, b->next, b->vector,
                                       PyBool_FromLong(b->torn), (unsigned long long)b->times);
        if (item == NULL)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)n, item);
    }
    return list;
}

PyObject *engine_get_idle(PyObject *self, PyObject *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    return e != NULL ? PyBool_FromLong(engine_idle(e)) : NULL;
}

PyObject *engine_first_turn(PyObject *self, PyObject *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    first_turn(e);
    Py_RETURN_NONE;
}

PyObject *engine_yield(PyObject *self, PyObject *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    yield_turn(e);
    Py_RETURN_NONE;
}
