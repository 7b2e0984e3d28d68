/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger on the host's side: it stops the guest before an instruction, after one, or after an
 * access to memory, and the guest cannot tell. (What the guest sets in its own debug registers is
 * in debug_registers.c.)
 *
 * Elsewhere a run stops between blocks only, and a block's time is charged when it begins. Both
 * stay so. A block with a breakpoint in it is walked: charged as a whole, then executed one
 * instruction at a time, with no interrupt, deadline or kick in between. So a walked block does
 * what it does in one piece, at the same time, and a run may stop in the middle of it and go on.
 */
#include "engine.h"

enum { STEP_NONE = 0, STEP_WANTED, STEP_TAKEN };
enum { PRESENT_CPU = -1, ANY_CPU = -2 };
enum { ACCESS_READ = 1, ACCESS_WRITE = 2 };

static void __attribute__((noreturn)) leave(struct engine *e, enum hit hit, uint64_t address)
{
    struct debugger *d = &e->debugger;
    d->hit = hit;
    d->hit_address = address;
    d->step = STEP_NONE;
    d->found = false;
    e->stopping = true;
    unicorn.emu_stop(e->uc);
    unicorn.loop_exit_noexc(e->cs);
}

/* Is a step that was asked for one of the CPU whose turn it is? */
static bool steps(const struct engine *e)
{
    return e->debugger.stepper == NULL || e->debugger.stepper == e->current;
}

/* Whether what was asked for has happened. It is reported first. */
static void leave_if_done(struct engine *e, uint64_t address)
{
    struct debugger *d = &e->debugger;
    d->alone = false;
    if (d->found)
        leave(e, HIT_WATCHPOINT, d->found_address);
    if (d->step == STEP_TAKEN && steps(e))
        leave(e, HIT_STEP, address);
}

/* The instruction at `address` is next. */
void debugger_arrives(struct engine *e, uint64_t address)
{
    struct debugger *d = &e->debugger;
    bool passing = d->passing && d->passer == e->current && d->pass_address == address;
    if (d->passer == e->current)
        d->passing = false;
    if (!passing)
        for (int n = 0; n < d->breakpoint_count; n++)
            if (d->breakpoints[n] == address)
                leave(e, HIT_BREAKPOINT, address);
    if (d->step == STEP_WANTED && steps(e))
        d->step = STEP_TAKEN;
}

/* Have the next instruction translated as a block of its own. */
static void __attribute__((noreturn)) ask_for_one(struct engine *e)
{
    e->attention = 0;
    e->debugger.asked = true;
    FIELD(int32_t, e->cs, CS_CFLAGS_NEXT_TB) = ONE_INSTRUCTION;
    unicorn.loop_exit_noexc(e->cs);
}

bool debugger_instruction(struct engine *e, uint64_t address, uint32_t size)
{
    struct debugger *d = &e->debugger;
    if (d->walking && (address != d->walk_next || e->cut))
        debugger_interrupted(e);
    if (!d->walking) {
        if (!e->cut)
            leave_if_done(e, address);
        return false;
    }
    if (!d->asked) {
        leave_if_done(e, address);
        debugger_arrives(e, address);
        ask_for_one(e);
    }
    d->asked = false;
    d->alone = true;
    d->walk_next = address + size;
    d->walking = d->walk_next != d->walk_end;
    e->attention = 0;
    return true;
}

void debugger_block(struct engine *e, uint64_t address, uint32_t size)
{
    struct debugger *d = &e->debugger;
    d->walk_end = address + size;
    bool walk = d->step != STEP_NONE && steps(e);
    for (int n = 0; n < d->breakpoint_count && !walk; n++)
        walk = d->breakpoints[n] - address < size;
    if (!walk)
        return;
    e->now += size;
    d->walking = true;
    d->walk_next = address;
    ask_for_one(e);
}

void debugger_interrupted(struct engine *e)
{
    e->debugger.walking = e->debugger.asked = e->debugger.alone = false;
}

void debugger_access(struct engine *e, uint64_t address, uint64_t size, int access,
                     uintptr_t host_pc)
{
    struct debugger *d = &e->debugger;
    for (int n = 0; n < d->watchpoint_count; n++) {
        const struct watchpoint *w = &d->watchpoints[n];
        if (!(w->access & access) || address > w->address + w->length - 1 ||
            w->address > address + size - 1)
            continue;
        e->attention = 0;
        if (!d->alone && host_pc != 0 && unicorn.restore_state(e->cs, host_pc, true)) {
            /* In the middle of a block: this instruction alone, then look again. */
            d->walking = true;
            d->walk_next = linear_eip(e);
            ask_for_one(e);
        }
        d->found = true;
        d->found_address = w->address;
        return;
    }
}

int debugger_watches(const struct engine *e, uint64_t address, uint64_t length)
{
    int access = 0;
    for (int n = 0; n < e->debugger.watchpoint_count; n++) {
        const struct watchpoint *w = &e->debugger.watchpoints[n];
        if (address <= w->address + w->length - 1 && w->address <= address + length - 1)
            access |= w->access;
    }
    return access;
}

/* ---- methods of the engine ---- */

PyObject *engine_set_breakpoints(PyObject *self, PyObject *addresses)
{
    struct engine *e = opened(self);
    if (e == NULL)
        return NULL;
    struct debugger *d = &e->debugger;
    PyObject *list = PySequence_Tuple(addresses);
    if (list == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_Size(list);
    if (count > BREAKPOINTS_MAX)
        PyErr_SetString(PyExc_ValueError, "too many breakpoints");
    d->breakpoint_count = 0;
    for (Py_ssize_t n = 0; n < count && !PyErr_Occurred(); n++) {
        d->breakpoints[n] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(list, n));
        d->breakpoint_count = (int)n + 1;
    }
    Py_DECREF(list);
    if (PyErr_Occurred()) {
        d->breakpoint_count = 0;
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *engine_set_watchpoints(PyObject *self, PyObject *wanted)
{
    struct engine *e = opened(self);
    if (e == NULL)
        return NULL;
    struct debugger *d = &e->debugger;
    PyObject *list = PySequence_Tuple(wanted);
    if (list == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_Size(list);
    if (count > WATCHPOINTS_MAX)
        PyErr_SetString(PyExc_ValueError, "too many watchpoints");
    d->watchpoint_count = 0;
    for (Py_ssize_t n = 0; n < count && !PyErr_Occurred(); n++) {
        unsigned long long address, length;
        int access;
        if (PyArg_ParseTuple(PyTuple_GetItem(list, n), "KKi", &address, &length, &access))
            d->watchpoints[d->watchpoint_count++] = (struct watchpoint){address, length, access};
    }
    Py_DECREF(list);
    if (PyErr_Occurred()) {
        d->watchpoint_count = 0;
        return NULL;
    }
    flush_tlbs(e); /* its entries carry whether their page is watched */
    Py_RETURN_NONE;
}

PyObject *engine_pass(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    int step, number = PRESENT_CPU;
    if (e == NULL || !PyArg_ParseTuple(args, "p|i", &step, &number))
        return NULL;
    if (number < ANY_CPU || number >= e->cpu_count) {
        PyErr_SetString(PyExc_ValueError, "there is no such CPU");
        return NULL;
    }
    struct debugger *d = &e->debugger;
    d->hit = HIT_NONE;
    d->passing = true;
    d->passer = e->current;
    d->pass_address = linear_eip(e);
    struct cpu *stepper = number < 0 ? e->current : e->cpus[number];
    d->stepper = number == ANY_CPU ? NULL : stepper;
    /* A step in HLT waits for its end. */
    int first = *cpu_halted(stepper) ? STEP_TAKEN : STEP_WANTED;
    d->step = step ? first : STEP_NONE;
    Py_RETURN_NONE;
}

PyObject *engine_get_hit(PyObject *self, void *unused)
{
    const struct debugger *d = &((struct engine *)self)->debugger;
    (void)unused;
    return Py_BuildValue("(iK)", d->hit, (unsigned long long)d->hit_address);
}

PyObject *engine_get_in_block(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct engine *)self)->debugger.walking);
}
