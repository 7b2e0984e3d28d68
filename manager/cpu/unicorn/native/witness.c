/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is remembered for the story of a fault: the exceptions on their way into the guest's IDT, each
 * of which came of delivering the one before, and the last RDMSR or WRMSR that was refused. None of it
 * is the machine's state.
 */
#include "engine.h"

void delivery_begins(struct engine *e, enum delivery_kind kind, int vector)
{
    if (!e->delivering || e->delivery_count == DELIVERIES_MAX)
        e->delivery_count = 0;
    e->delivering = true;
    uint32_t hflags = FIELD(uint32_t, e->env, ENV_HFLAGS);
    const struct segment *cs = &FIELD(struct segment, e->env, ENV_SEGS + SEG_CS * sizeof(*cs));
    e->deliveries[e->delivery_count++] = (struct delivery){
        .kind = kind,
        .cpu = e->current->number,
        .vector = vector,
        .error_code = FIELD(uint32_t, e->env, ENV_ERROR_CODE),
        .selector = cs->selector,
        .base = cs->base,
        .rip = FIELD(uint64_t, e->env, ENV_EIP),
        .cr2 = FIELD(uint64_t, e->env, ENV_CR + 2 * 8),
        .bits = hflags & HF_CS64 ? 64 : hflags & HF_CS32 ? 32 : 16,
    };
}

void msr_refused(struct engine *e, uint32_t number, uint64_t value, bool written, uintptr_t host_pc)
{
    unicorn.restore_state(e->cs, host_pc, false); /* eip shows the instruction */
    e->refusal = (struct refusal){
        .happened = true,
        .cpu = e->current->number,
        .number = number,
        .value = value,
        .written = written,
        .selector = FIELD(uint32_t, e->env, ENV_SEGS + SEG_CS * sizeof(struct segment)),
        .rip = FIELD(uint64_t, e->env, ENV_EIP),
    };
}

PyObject *engine_get_deliveries(PyObject *self, void *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    PyObject *all = PyTuple_New(e->delivery_count);
    for (int n = 0; all != NULL && n < e->delivery_count; n++) {
        const struct delivery *d = &e->deliveries[n];
        PyObject *one = Py_BuildValue("(iiiIIKKKi)", (int)d->kind, d->cpu, d->vector, d->error_code,
                                      d->selector, (unsigned long long)d->base,
                                      (unsigned long long)d->rip, (unsigned long long)d->cr2, d->bits);
        if (one == NULL)
            Py_CLEAR(all);
        else
            PyTuple_SetItem(all, n, one);
    }
    return all;
}

PyObject *engine_get_refused_msr(PyObject *self, void *unused)
{
    const struct refusal *r = &((struct engine *)self)->refusal;
    (void)unused;
    if (!r->happened)
        Py_RETURN_NONE;
    return Py_BuildValue("(iIKOIK)", r->cpu, r->number, (unsigned long long)r->value,
                         r->written ? Py_True : Py_False, r->selector, (unsigned long long)r->rip);
}
