/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When Unicorn itself falls: an abort() or a bad access inside it, provoked by the guest.
 *
 * The machine is over, but its owner is not: the run ends, and the guest's fault is reported like
 * any other that the engine cannot execute. Only what happens inside uc_emu_start and outside of
 * Python is caught; everything else goes the way it went before us.
 */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "engine.h"

static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
enum { DEADLY = sizeof(deadly) / sizeof(*deadly) };

static struct sigaction before[DEADLY];
static sigjmp_buf way_out;
static volatile sig_atomic_t guarding;

static void on_deadly_signal(int number)
{
    if (guarding && running_engine != NULL && !running_engine->in_python)
        siglongjmp(way_out, number);
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
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < DEADLY; i++)
        sigaction(deadly[i], &action, &before[i]);
}

/* uc_emu_start; the number of the signal that ended it, or 0. */
int contained_run(struct engine *e)
{
    int signal = sigsetjmp(way_out, 1);
    if (signal == 0) {
        guarding = 1;
        e->error = unicorn.emu_start(e->uc, FIELD(uint64_t, e->env, ENV_EIP), 0, 0, 0);
    }
    guarding = 0;
    return signal;
}
