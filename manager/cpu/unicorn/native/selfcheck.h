/* SPDX-License-Identifier: BSD-2-Clause */
/* Proofs of layout.h: see selfcheck.c and probe.c. */
#ifndef VMMGR_SELFCHECK_H
#define VMMGR_SELFCHECK_H

#include "engine.h"

/* One offset, and whether its field is at `at` in an engine that is there to be tried. */
struct field {
    const char *name;
    int offset;
    bool (*holds)(struct engine *e, int at);
};

extern const struct field selfcheck_fields[]; /* ends with a name that is NULL */

/* The name of a field that is not where layout.h has it, or None; NULL with an exception set. The
 * one called `name`, which may be NULL, is looked for `shift` bytes further on. */
PyObject *selfcheck(const char *name, int shift);

bool probe_cflags_next_tb(struct engine *e, int at);
bool probe_halted(struct engine *e, int at);
bool probe_exception_index(struct engine *e, int at);
bool probe_mem_io_pc(struct engine *e, int at);
bool probe_pc_next(struct engine *e, int at);
bool probe_is_jmp(struct engine *e, int at);
bool probe_unaligned(struct engine *e, int at);
bool probe_error_code(struct engine *e, int at);
bool probe_exception_is_int(struct engine *e, int at);
bool probe_next_eip(struct engine *e, int at);
bool probe_old_exception(struct engine *e, int at);
bool probe_nb_temps(struct engine *e, int at);
bool probe_nb_ops(struct engine *e, int at);

#endif
