/* SPDX-License-Identifier: BSD-2-Clause */
/* Methods of the engine about time: running it until a deadline, and asking how late it is. */
#define _DEFAULT_SOURCE
#include <time.h>

#include "engine.h"

enum { PATIENCE = 20 * 1000 * 1000 }; /* ns */

static uint64_t host_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Code may take the host a thousand times as long as its clock says: the owner has a socket and
 * signals to answer. Where a run ends makes no difference to the guest. */
void give_way(struct engine *e)
{
    if (host_time() >= e->patience) {
        e->kicked = true;
        e->attention = 0;
    }
}

static enum stop why_stopped(struct engine *e)
{
    if (e->error != 0 || e->crashed)
        return STOP_FAULT;
    if (e->stopping && e->debugger.hit)
        return STOP_DEBUGGER;
    if (e->stopping || (e->cpu_count > 1 && e->kicked))
        return e->kicked ? STOP_KICK : STOP_DEADLINE;
    if (FIELD(uint32_t, e->cs, CS_HALTED) || e->current->waiting)
        return e->cpu_count == 1 || engine_idle(e) ? STOP_HALT : STOP_DEADLINE;
    return STOP_SHUTDOWN;
}

/* A time in ns as ticks; what is too far away to count is never. */
static bool as_ticks(PyObject *time, uint64_t *ticks)
{
    uint64_t ns = PyLong_AsUnsignedLongLong(time);
    if (PyErr_Occurred())
        return false;
    *ticks = ns <= UINT64_MAX / TICKS_PER_NS ? ns * TICKS_PER_NS : UINT64_MAX;
    return true;
}

PyObject *engine_run(PyObject *self, PyObject *deadline)
{
    struct engine *e = opened(self);
    if (e == NULL || !as_ticks(deadline, &e->deadline))
        return NULL;
    if (running_engine != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "an engine is already running");
        return NULL;
    }
    if (e->crashed) {
        PyErr_SetString(PyExc_RuntimeError, "the engine has crashed");
        return NULL;
    }
    for (int n = 0; n < e->cpu_count; n++)
        if (e->cpus[n]->calls[0] == NULL) {
            PyErr_Format(PyExc_RuntimeError, "CPU %d is not connected to a platform", n);
            return NULL;
        }
    e->patience = host_time() + PATIENCE;
    e->kicked = e->stopping = e->abandoned = e->cut = e->replay = e->delivering = false;
    e->part = PART_NONE;
    e->watch_hits = 0;
    e->translating = false;
    e->owed = e->error = 0;
    e->debugger.hit = HIT_NONE;
    e->debugger.asked = e->debugger.alone = false;
    e->attention = 0; /* an interrupt may be waiting */
    resume_torn(e);
    bool goes_on;
    do {
        goes_on = take_turn(e);
        if (!goes_on)
            break;
        running_engine = e;
        e->crashed = contained_run(e);
        running_engine = NULL;
        /* In HLT, and nothing asks for an end: another CPU may have something to do. */
        goes_on = e->cpu_count > 1 && !e->crashed && e->error == 0 && !e->stopping && !e->kicked &&
                  FIELD(uint32_t, e->cs, CS_HALTED) && e->now < e->deadline;
    } while (goes_on);
    give_back_port(e);
    end_grants(e);
    if (e->raised != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(e->raised), e->raised);
        Py_CLEAR(e->raised);
        return NULL;
    }
    return PyLong_FromLong(why_stopped(e));
}

PyObject *engine_now(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct engine *)self)->now / TICKS_PER_NS);
}

PyObject *engine_advance(PyObject *self, PyObject *time)
{
    struct engine *e = (struct engine *)self;
    uint64_t ticks;
    if (!as_ticks(time, &ticks))
        return NULL;
    if (ticks > e->now)
        charge(e, ticks - e->now);
    Py_RETURN_NONE;
}

PyObject *engine_limit(PyObject *self, PyObject *time)
{
    struct engine *e = (struct engine *)self;
    uint64_t ticks;
    if (!as_ticks(time, &ticks))
        return NULL;
    if (ticks < e->deadline) {
        e->deadline = ticks;
        e->attention = 0;
    }
    Py_RETURN_NONE;
}

PyObject *engine_kick(PyObject *self, PyObject *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    e->kicked = true;
    e->attention = 0;
    Py_RETURN_NONE;
}

PyObject *engine_abandon(PyObject *self, PyObject *unused)
{
    ((struct engine *)self)->abandoned = true;
    return engine_kick(self, unused);
}

PyObject *engine_get_time(PyObject *self, void *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    return Py_BuildValue("(KK)", (unsigned long long)e->now, (unsigned long long)e->charged);
}

int engine_set_time(PyObject *self, PyObject *value, void *unused)
{
    struct engine *e = (struct engine *)self;
    unsigned long long now, charged;
    (void)unused;
    if (value == NULL || !PyArg_ParseTuple(value, "KK", &now, &charged))
        return -1;
    e->now = now;
    e->charged = charged;
    return 0;
}
