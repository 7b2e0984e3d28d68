/* SPDX-License-Identifier: BSD-2-Clause */
/* One Unicorn engine and what we keep beside it. See engine.c and interpose.c. */
#ifndef VMMGR_ENGINE_H
#define VMMGR_ENGINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "grants.h"
#include "layout.h"
#include "unicorn.h"

/* Why engine_run() came back. */
enum stop {
    STOP_DEADLINE = 0, /* virtual time reached the deadline */
    STOP_KICK,         /* a stop was requested */
    STOP_HALT,         /* HLT */
    STOP_SHUTDOWN,     /* triple fault */
    STOP_FAULT,        /* Unicorn gave up; `error` says why */
    STOP_DEBUGGER,     /* a breakpoint, a watchpoint or a step; `debugger.hit` says which */
};

/*
 * How fast this machine is. Four bytes of code take a nanosecond: about 1 GIPS, near what the
 * engine reaches on a host of today, so that a busy guest's clock keeps up with the wall's. An I/O
 * port takes a microsecond, as on an ISA bus, a device in memory and PAUSE a tenth of one: so loops that wait for a
 * device or for the clock go round as often as they would on a PC, not as often as they could.
 */
enum { TICKS_PER_NS = 4, PORT_TICKS = 1000 * TICKS_PER_NS };
enum { MMIO_TICKS = 100 * TICKS_PER_NS, PAUSE_TICKS = 100 * TICKS_PER_NS };
enum { FETCH_FAULT_TICKS = 100 * TICKS_PER_NS };

/* What the CPU asks of the machine around it: methods of the platform, in this order. */
enum call {
    CALL_READ_PORT,   /* (port, size) -> value */
    CALL_WRITE_PORT,  /* (port, size, value) */
    CALL_ACKNOWLEDGE, /* () -> vector */
    CALL_READ_MSR,    /* (number) -> value */
    CALL_WRITE_MSR,   /* (number, value) */
    CALL_READ_CR8,    /* () -> value */
    CALL_WRITE_CR8,   /* (value) */
    CALLS,
};

enum { RAM_REGIONS = 64, CPUS_MAX = 64, BREAKS_KEPT = 64 };

#define NEVER UINT64_MAX /* ticks */

/* One region of RAM: where the guest sees it, where Unicorn has it, where Unicorn counts it, where
 * it is. Memory of a device has a home beyond all addresses that a guest can name, and the guest
 * sees it wherever place_ram() says. */
struct ram {
    uint64_t base;
    uint64_t length;
    uint64_t home;
    uint64_t start;
    void *host;
    uint8_t *touched; /* memory of a device: one per page that the guest has stored to; else NULL */
    const struct ram *whole; /* of what this is a part, shown at a second place; NULL for a whole */
};

#define NOWHERE (UINT64_C(1) << 62)

/* See memory.c: addresses without memory behind, and the devices that answer at some of them. */
struct hole {
    struct engine *engine;
    uint64_t base;
    struct hole *next;
};

struct claim {
    uint64_t base;
    uint64_t end;
    PyObject *read;  /* (offset, size) -> value */
    PyObject *write; /* (offset, size, value) */
};

/* What the host's debugger wants and has got. See debugger.c; addresses are linear. */
enum { BREAKPOINTS_MAX = 256, WATCHPOINTS_MAX = 64 };
enum hit { HIT_NONE = 0, HIT_BREAKPOINT, HIT_WATCHPOINT, HIT_STEP };

struct watchpoint {
    uint64_t address;
    uint64_t length;
    int access; /* 1 read, 2 write */
};

struct debugger {
    int breakpoint_count;
    int watchpoint_count;
    int step;              /* one instruction is wanted, or is under way */
    struct cpu *stepper;   /* whose; NULL: of any CPU */
    bool passing;          /* the breakpoint at `pass_address` was reported already */
    struct cpu *passer;    /* to this CPU */
    uint64_t pass_address;

    bool walking;          /* a block is executed one instruction at a time, and is not over */
    bool asked;            /* the next instruction is translated alone */
    bool alone;            /* the instruction that runs is */
    uint64_t walk_next;
    uint64_t walk_end;     /* the end of the block that runs, walked or not */

    bool found;            /* a watched access has happened: stop behind the instruction */
    uint64_t found_address;
    enum hit hit;
    uint64_t hit_address;

    uint64_t breakpoints[BREAKPOINTS_MAX];
    struct watchpoint watchpoints[WATCHPOINTS_MAX];
};

/* See turns.c: a block that was asked for to be short. */
enum { FEW_INSTRUCTIONS = 64 };
enum part {
    PART_NONE = 0,
    PART_FIRST, /* the first part of a block in which something is to happen */
    PART_TORN,  /* a torn instruction, which nothing may come before */
    PART_AFTER_REWRITE, /* what follows the instruction that wrote into its own block */
};

/* A read and write that has begun, at a linear address: see tear.c. */
struct tear {
    int size; /* bytes, 0 for none */
    uint64_t address;
    uint64_t value;
    int ended;       /* the size of the last one that has gone on */
    uint64_t theirs; /* what was in memory then */
};

/* See witness.c: what a fault's story is told from. */
enum { DELIVERIES_MAX = 4 };
enum delivery_kind { DELIVERY_EXCEPTION, DELIVERY_INT, DELIVERY_INTERRUPT };

struct delivery {
    enum delivery_kind kind;
    int cpu, vector;
    uint32_t error_code;
    uint32_t selector;
    uint64_t base, rip, cr2;
    int bits; /* of the code: 16, 32 or 64 */
};

struct refusal {
    bool happened, written;
    int cpu;
    uint32_t number;
    uint64_t value;
    uint32_t selector;
    uint64_t rip;
};

/* One CPU. Its state is in `env` and `cs` of the engine while it is its turn: see banks.c. */
struct cpu {
    PyObject_HEAD
    struct engine *engine;
    int number;
    bool waiting;         /* after INIT, for a start-up message: it does nothing */
    uint64_t hold;        /* when it takes the interrupt that its INTR pin asks for */
    struct tear tear;
    struct bank *parked;  /* its state else */
    PyObject *calls[CALLS]; /* bound methods of the platform, see cpu_type.c; or NULL */
};

/* What a device has lent: see lending.c. */
struct lent {
    PyObject *returned; /* (at): told how far it has got; NULL while nothing is lent */
    uint32_t port;
    bool writable; /* for OUT, not for IN */
    Py_buffer view;
    Py_ssize_t at;
};

/* Something came between two instructions of a CPU: see turns.c. */
struct break_ {
    uint64_t at;      /* ticks */
    uint64_t address; /* linear, of the instruction that it would have executed next */
    int16_t cpu;
    int16_t next;   /* the CPU whose turn began, or -1 */
    int16_t vector; /* of the interrupt that came, or -1 */
    bool torn;      /* the instruction has begun: see tear.c */
    uint64_t times; /* so often in a row, or in turn with a few others, as when CPUs wait */
};

struct engine {
    PyObject_HEAD
    struct engine *next; /* of those that are open */
    struct cpu *cpus[CPUS_MAX];
    int cpu_count;
    struct cpu *current; /* whose turn it is */
    void *uc;
    char *cs;
    char *env;

    /* Virtual time in ticks: one per byte of code executed, and what charge() adds. The block
     * hook compares it with `attention`: the deadline, or 0 while anything wants a closer look. */
    uint64_t now;
    uint64_t attention;
    uint64_t deadline;
    uint64_t charged; /* the part of `now` that is not code bytes */
    uint64_t turn_end; /* of the present CPU's turn, or NEVER: see turns.c */
    uint64_t quantum;
    bool seeded; /* a generator draws where turns end, whose is next, how long interrupts wait */
    bool tears;
    uint64_t seed;
    uint64_t draws;  /* numbers drawn so far */
    uint64_t jitter; /* how long an interrupt waits at most */
    enum part part;       /* what the next block is */
    uint64_t part_at;     /* the time of what comes after the first part of a block */
    uint64_t part_draws;  /* what had been drawn before */
    struct break_ breaks[BREAKS_KEPT]; /* the latest */
    uint64_t break_count;
    bool keep_tlbs; /* from one turn of a CPU to its next */
    uint64_t patience; /* host time in ns when the run gives way to the host: see run.c */
    bool kicked;
    bool stopping; /* this run is over; only for engine_run to see why */
    bool abandoned; /* the access under way ends the run: what follows in its block does not count */
    bool cut;      /* a block was left in the middle; never stop before the rest of it */
    bool rewritten; /* the block wrote into itself, and its rest comes next, */
    uint64_t rest;  /* at this linear address: see after_rewrite() */
    int owed;      /* translation flags of the one instruction that comes first then */
    int error;

    /* See containment.c. */
    int crashed; /* the signal that Unicorn died of, or 0 */
    bool translating;
    bool in_python; /* a callback into Python is under way */
    int int_length; /* of the last INT n, in bytes */

    /* Told of each instruction, before and after it is translated; of probe.c, else NULL. */
    void (*translation_watch)(struct engine *e, void *db);

    /* See debug_registers.c. */
    bool replay;         /* the instruction that runs is the one that hits a watchpoint */
    uint32_t watch_hits; /* bits of DR6 that wait for it to complete */

    struct debugger debugger;

    bool delivering; /* the last of the deliveries is under way */
    int delivery_count;
    struct delivery deliveries[DELIVERIES_MAX];
    struct refusal refusal; /* of an MSR, the last one */

    /* The access that asked for the next TLB entry: see tlb.c. */
    uint64_t fill_address;
    uintptr_t fill_pc;
    int fill_access; /* 0 load, 1 store, 2 fetch */
    bool fill_probe;

    /* See codepages.c. */
    struct ram ram[RAM_REGIONS];
    int ram_count;
    uint8_t *has_code; /* one per page, by Unicorn's RAM address */
    uint64_t code_pages;
    uint64_t stored_page; /* the page of the last watched store */

    struct mark *mark; /* a point to come back to, or NULL: see marks.c */

    struct hole *holes;
    struct claim *claims; /* by address, none overlaps another */
    size_t claim_count;

    struct lent lent;
    struct grants grants;
    PyObject *msr_watch;    /* (number, value, written, refused), or NULL */
    PyObject *bios_watch;   /* (interrupt number), or NULL */
    PyObject *raised;       /* what a callback raised: re-raised by run() */
    PyObject *mapped;       /* list of objects that must outlive the engine */
};

/* The engine inside uc_emu_start: whose code called the functions that take Unicorn's places. */
extern struct engine *running_engine;

/* The TCGContext of the last block that calls a function. */
extern void *translator;

/* The engine that a CPUState or a uc_engine belongs to, running or not; NULL while it is made. */
struct engine *engine_of(const void *cs);
struct engine *engine_of_uc(const void *uc);
void engine_join(struct engine *e);
void engine_leave(struct engine *e);

/* Let time pass that no code accounts for. */
static inline void charge(struct engine *e, uint64_t ticks)
{
    e->now += ticks;
    e->charged += ticks;
}

/* The next instruction's linear address, where a block begins. */
static inline uint64_t linear_eip(const struct engine *e)
{
    const struct segment *code = &FIELD(struct segment, e->env, ENV_SEGS + SEG_CS * sizeof(*code));
    uint64_t linear = code->base + FIELD(uint64_t, e->env, ENV_EIP);
    return FIELD(uint32_t, e->env, ENV_HFLAGS) & HF_CS64 ? linear : (uint32_t)linear;
}

/* Whether an interrupt waits that the CPU would take before its next instruction. */
static inline bool takes_nmi(const void *env, uint32_t request)
{
    return (request & INTERRUPT_NMI) && !(FIELD(uint32_t, env, ENV_HFLAGS2) & HF2_NMI_MASKED) &&
           !(FIELD(uint32_t, env, ENV_HFLAGS) & HF_INHIBIT_IRQ);
}

static inline bool takes_intr(const struct cpu *c, const void *env, uint32_t request)
{
    return (request & INTERRUPT_HARD) && (FIELD(uint64_t, env, ENV_EFLAGS) & EFLAGS_IF) &&
           !(FIELD(uint32_t, env, ENV_HFLAGS) & HF_INHIBIT_IRQ) && c->engine->now >= c->hold;
}

static inline bool takes(const struct cpu *c, const void *env, uint32_t request)
{
    return takes_nmi(env, request) || takes_intr(c, env, request);
}

/*
 * Does one wait that the CPU would take but for the shadow of STI or of a load of SS? The block in
 * the shadow may end in a jump that goes straight to the next one, so look there again.
 */
static inline bool shadowed(const struct engine *e)
{
    return FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) & (INTERRUPT_HARD | INTERRUPT_NMI) &&
           FIELD(uint32_t, e->env, ENV_HFLAGS) & HF_INHIBIT_IRQ;
}

static inline bool takes_interrupt(const struct engine *e)
{
    return takes(e->current, e->env, FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST));
}

/* banks.c: making and freeing the room of a parked CPU; false with an exception set. */
bool bank_make(struct cpu *c);
void bank_free(struct cpu *c);
/* Parks the present CPU and puts another in its place; in a run only where a block begins. */
void bank_switch(struct engine *e, struct cpu *next);
/* A CPU's fields, parked or not. */
char *cpu_env(const struct cpu *c);
uint32_t *cpu_request(const struct cpu *c);
uint32_t *cpu_halted(const struct cpu *c);
int32_t *cpu_exception(const struct cpu *c);
/* The guest's own breakpoints are on a list of Unicorn's as well, which names them in `env`: off
 * it while that is copied. The first returns DR7, which the second takes. */
uint64_t take_breakpoints_off(struct engine *e);
void put_breakpoints_on(struct engine *e, uint64_t dr7);
/* What Unicorn does to one CPU, done to all. */
void flush_tlbs(struct engine *e);
void set_a20(struct engine *e, bool open);
void reset_dirty(struct engine *e, uintptr_t host, uint64_t length);

/* turns.c: no CPU has anything to do. */
bool engine_idle(const struct engine *e);
/* Begins anew, with the first CPU. */
void first_turn(struct engine *e);
/* At the start of a run: give the turn to a CPU that has something to do; false if none has. */
bool take_turn(struct engine *e);
/* Where a block begins: whether another CPU has its turn now. */
bool end_turn_if_due(struct engine *e);
/* The turn ends at the next block if another CPU waits. */
void yield_turn(struct engine *e);
/* A parked CPU may have something to do now. */
void cpu_woken(struct cpu *c);
/* An interrupt is asked for: how long will it wait? */
void hold_interrupt(struct cpu *c);
/* Where a block of `size` bytes begins that something is to happen in: ask for its first part. */
void part_block(struct engine *e, uint32_t size);
/* Such a block begins: what is behind it may come now. A debugger may leave before. */
void begin_part(struct engine *e, uint64_t address, uint32_t size);
/* Notes that a turn ends, or that an interrupt comes, before the present CPU's next instruction;
 * `next` or `vector` is -1. */
void note_break(struct engine *e, int next, int vector);
/* At the start of a run: an instruction of the present CPU has begun. */
void resume_torn(struct engine *e);
/* When the block hook has to look closer. */
uint64_t next_event(const struct engine *e);
/* run.c: ends the run soon if it has kept the host waiting for long. */
void give_way(struct engine *e);
/* The guest may be interrupted from now on: a good place for a turn to end. */
void may_yield(struct engine *e);

/* tear.c: before the present CPU is parked; when it goes on: whether its next instruction has begun,
 * so that nothing may come before it. */
void tear_begin(struct engine *e);
bool tear_end(struct engine *e);
/* As if it had not gone on. */
void tear_again(struct engine *e);

/* tlb.c, which takes the place of Unicorn's. */
bool x86_cpu_tlb_fill_x86_64(void *cs, uint64_t address, int size, int access, int mmu_index,
                             bool probe, uintptr_t host_pc);

/* Where the host has [physical, physical + length), or NULL unless all of it is in one RAM region. */
void *ram_pointer(const struct engine *e, uint64_t physical, uint64_t length);
/* Keeps track of a new RAM region; false with a Python exception set. */
bool code_pages_add(struct engine *e, uint64_t home, uint64_t length, void *host);
/* The host wrote to guest-physical [physical, end): drop what was translated from it. */
void code_pages_invalidate(struct engine *e, uint64_t physical, uint64_t end);
void code_pages_free(struct engine *e);
/* The region that a guest finds at a physical address, or NULL. */
const struct ram *ram_at(const struct engine *e, uint64_t physical);
/* May stores to this physical address of a region go straight to RAM? */
bool code_pages_allow_store(const struct engine *e, const struct ram *ram, uint64_t physical);

/* marks.c: RAM in [physical, end) is about to be written, past the TLB. */
void mark_note_memory(struct engine *e, uint64_t physical, uint64_t end);
/* What a new TLB entry for that address may let through. */
int mark_guard(struct engine *e, const struct ram *ram, uint64_t physical, int protection);
void mark_free(struct engine *e);
PyObject *engine_mark(PyObject *self, PyObject *unused);
PyObject *engine_forget_mark(PyObject *self, PyObject *unused);
PyObject *engine_back_memory(PyObject *self, PyObject *unused);
PyObject *engine_back_cpus(PyObject *self, PyObject *unused);

static inline bool canonical(uint64_t address)
{
    int64_t top = (int64_t)address >> 47;
    return top == 0 || top == -1;
}

/* operands.c: a block with these flags is about to be translated. */
void operands_block(uint32_t flags);
/* Translated code that calls this function is about to be written, or has been. */
void operands_call(void *tcg, const void *function);
void operands_called(void *tcg, const void *function);
/* Has accesses that are not aligned come to us. */
void demand_alignment(struct engine *e);
/* CR0.AM may have changed. */
void alignment_check_changed(void *env);

/* segments.c: works out anew which segments of a CPU are not flat. */
void segments_changed(void *env);
struct instruction;
/* The instruction that is translated next, and each of its accesses in turn. */
void segments_instruction(const struct instruction *i, uint32_t flags);
void segments_access(void *tcg, void *address, int size, bool store);
/* Does it load a segment register, so that those bits may be others behind it? */
bool segments_loads(const struct instruction *i, uint32_t flags);
/* May a function that translated code calls change segments? Is it a return, with what surrounds it? */
bool segments_loaded_by(const void *function);
bool segments_returns_by(const void *function);
void segments_before_return(void *env);
void segments_after_return(void *env);

/* witness.c: something is on its way into the IDT of the present CPU; an MSR is refused. */
void delivery_begins(struct engine *e, enum delivery_kind kind, int vector);
void msr_refused(struct engine *e, uint32_t number, uint64_t value, bool written, uintptr_t host_pc);
PyObject *engine_get_deliveries(PyObject *self, void *unused);
PyObject *engine_get_refused_msr(PyObject *self, void *unused);

/* The #DB of the data breakpoints that the instruction before has hit. */
void raise_watch_hits(struct engine *e) __attribute__((noreturn));
/* At an invalid opcode: if it is INT1, have #DB delivered instead. */
bool deliver_int1(struct engine *e);

/* Does the host's debugger want to see every block? */
static inline bool debugged(const struct engine *e)
{
    const struct debugger *d = &e->debugger;
    return d->breakpoint_count || d->watchpoint_count || d->step || d->walking;
}

/* From the block hook while debugged, first thing: true if the block is one instruction of a
 * walked one, charged already. May leave. */
bool debugger_instruction(struct engine *e, uint64_t address, uint32_t size);
/* A block is about to begin. May leave. */
void debugger_arrives(struct engine *e, uint64_t address);
/* It begins. May charge it and walk it. */
void debugger_block(struct engine *e, uint64_t address, uint32_t size);
/* An exception, or a jump out of the middle: what is walked is over. */
void debugger_interrupted(struct engine *e);
/* An access to a watched page, before it happens. May leave, to come back. */
void debugger_access(struct engine *e, uint64_t address, uint64_t size, int access,
                     uintptr_t host_pc);
/* Which accesses to [address, address + length) are watched: 1 read, 2 write. */
int debugger_watches(const struct engine *e, uint64_t address, uint64_t length);

PyObject *engine_set_breakpoints(PyObject *self, PyObject *addresses);
PyObject *engine_set_watchpoints(PyObject *self, PyObject *wanted);
PyObject *engine_pass(PyObject *self, PyObject *args);
PyObject *engine_get_hit(PyObject *self, void *unused);
PyObject *engine_get_in_block(PyObject *self, void *unused);

/* Signals that Unicorn dies of end the run, not the process. */
void contain_crashes(void);
int contained_run(struct engine *e);
void *contained_translation(struct engine *e, uint64_t pc, uint64_t cs_base, uint32_t flags,
                            int cflags);

/* Calls `method` with up to four unsigned arguments. A raised exception is kept for run(), the
 * run ends, and the answer is all ones. */
uint64_t ask(struct engine *e, PyObject *method, size_t count, const uint64_t *arguments);

/* callbacks.c: what Python has just raised, for run(); the run ends. */
void keep_exception(struct engine *e);

/* lending.c: accesses to a port that has a buffer behind it; false when there is none. */
bool read_lent(struct engine *e, uint32_t port, int size, uint64_t *value);
bool write_lent(struct engine *e, uint32_t port, int size, uint32_t value);
/* Before any Python of the machine runs. */
void give_back_port(struct engine *e);
PyObject *engine_lend_port(PyObject *self, PyObject *args);

static inline uint64_t ask0(struct engine *e, enum call call)
{
    return ask(e, e->current->calls[call], 0, NULL);
}

static inline uint64_t ask1(struct engine *e, enum call call, uint64_t a)
{
    return ask(e, e->current->calls[call], 1, &a);
}

static inline uint64_t ask2(struct engine *e, enum call call, uint64_t a, uint64_t b)
{
    return ask(e, e->current->calls[call], 2, (uint64_t[]){a, b});
}

/* After a call into Python by translated code at `host_pc`: leaves if the machine is over or has been
 * reset by it. No instruction of the block runs after that one. */
void leave_if_abandoned(struct engine *e, uintptr_t host_pc);

/* The block, exception and invalid-instruction hooks; Unicorn's error code. */
int add_hooks(struct engine *e);

/* Opens Unicorn and builds its CPU, bound to our functions; false with an exception set. */
bool open_unicorn(struct engine *e, int cpu_model, unsigned code_buffer);
/* Whether Unicorn is laid out as layout.h has it, proven once in a process; else false with an
 * exception set. */
bool layout_is_right(void);
/* Takes back what the CPU model claims and we do not have. */
void correct_features(struct engine *e);
/* Has CPUID tell how many CPUs there are. */
void set_topology(struct engine *e);

/* Keeps `object`, whose reference is the caller's, in place of what is there: that may have a
 * finalizer which looks. */
static inline void replace_reference(PyObject **place, PyObject *object)
{
    PyObject *before = *place;
    *place = object;
    Py_XDECREF(before);
}

/* The engine itself, if it is open; else NULL with an exception set. */
struct engine *opened(PyObject *engine);

/* cpu_type.c: the Python type, and one of an engine's CPUs; NULL with an exception set. */
PyObject *cpu_type(void);
struct cpu *cpu_make(struct engine *e, int number);

/* turn_type.c and run.c: methods of the Python type. */
PyObject *engine_get_current(PyObject *self, void *unused);
PyObject *engine_get_turn(PyObject *self, void *unused);
int engine_set_turn(PyObject *self, PyObject *value, void *unused);
PyObject *engine_get_breaks(PyObject *self, void *unused);
PyObject *engine_get_idle(PyObject *self, PyObject *unused);
PyObject *engine_follow_seed(PyObject *self, PyObject *args);
PyObject *engine_first_turn(PyObject *self, PyObject *unused);
PyObject *engine_yield(PyObject *self, PyObject *unused);
PyObject *engine_run(PyObject *self, PyObject *deadline);
PyObject *engine_now(PyObject *self, PyObject *unused);
PyObject *engine_advance(PyObject *self, PyObject *time);
PyObject *engine_limit(PyObject *self, PyObject *time);
PyObject *engine_kick(PyObject *self, PyObject *unused);
PyObject *engine_abandon(PyObject *self, PyObject *unused);
PyObject *engine_get_time(PyObject *self, void *unused);
int engine_set_time(PyObject *self, PyObject *value, void *unused);

/* memory.c; Unicorn's error code, then methods of the Python type. */
int number_ram_apart(struct engine *e);
PyObject *engine_map_ram(PyObject *self, PyObject *args);
PyObject *engine_place_ram(PyObject *self, PyObject *args);
PyObject *engine_place_part(PyObject *self, PyObject *args);
PyObject *engine_touched(PyObject *self, PyObject *home);
PyObject *engine_map_rom(PyObject *self, PyObject *args);
PyObject *engine_map_hole(PyObject *self, PyObject *args);
PyObject *engine_map_mmio(PyObject *self, PyObject *args);
PyObject *engine_unmap_mmio(PyObject *self, PyObject *base);
int visit_claims(struct engine *e, visitproc visit, void *arg);
void clear_claims(struct engine *e);
void free_holes(struct engine *e); /* once Unicorn is closed */

/* Sets RuntimeError from an error code of Unicorn's; always -1. */
int unicorn_failed(const char *what, int error);

#endif
