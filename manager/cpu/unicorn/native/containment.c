/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When Unicorn itself falls: an abort() or a bad access inside it, provoked by the guest.
 *
 * In the translator (it aborts at LOCK BTS of a register, say), the instruction is one that no
 * CPU has: #UD. Anywhere else the machine is over, but its owner is not: the run ends, and the
 * guest's fault is reported like any other that the engine cannot execute. Only what happens
 * inside uc_emu_start and outside of Python is caught; the rest goes the way it went before us.
 */
#define _DEFAULT_SOURCE
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "engine.h"

static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
enum { DEADLY = sizeof(deadly) / sizeof(*deadly) };

static struct sigaction before[DEADLY];
static sigjmp_buf out_of_run, out_of_translation;
static volatile sig_atomic_t running;

static void on_deadly_signal(int number)
{
    struct engine *e = running_engine;
    if (running && e != NULL && !e->in_python) {
        if (e->translating)
            siglongjmp(out_of_translation, number);
        siglongjmp(out_of_run, number);
    }
    for (int i = 0; i < DEADLY; i++)
        if (deadly[i] == number)
            sigaction(number, &before[i], NULL);
    raise(number);
}

void contain_crashes(void)
{
    static bool installed;
    if (installed)
        return;
    installed = true;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_deadly_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER; /* left by a jump, so never blocked */
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < DEADLY; i++)
        sigaction(deadly[i], &action, &before[i]);
}

/* uc_emu_start; the number of the signal that ended it, or 0. SSE arithmetic is the host's own where
 * its result is that of the guest's MXCSR: so it must round as a process begins, whatever the process
 * has done to that since. */
int contained_run(struct engine *e)
{
    static fenv_t hosts;
    fegetenv(&hosts);
    fesetenv(FE_DFL_ENV);
    int signal = sigsetjmp(out_of_run, 0);
    if (signal == 0) {
        running = 1;
        e->error = unicorn.emu_start(e->uc, FIELD(uint64_t, e->env, ENV_EIP), 0, 0, 0);
    }
    running = 0;
    fesetenv(&hosts);
    return signal;
}

/* One block's translation; NULL if it cannot be done. Where it jumps away instead, for a page
 * fault or a full buffer, `translating` is cleared by those. */
void *contained_translation(struct engine *e, uint64_t pc, uint64_t cs_base, uint32_t flags,
                            int cflags)
{
    void *block = NULL;
    if (sigsetjmp(out_of_translation, 0) == 0) {
        e->translating = true;
        block = unicorn.tb_gen_code(e->cs, pc, cs_base, flags, cflags);
    }
    e->translating = false;
    return block;
}
