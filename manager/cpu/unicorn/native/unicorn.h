/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of libunicorn that we call, found by name: see link.c. */
#ifndef VMMGR_UNICORN_H
#define VMMGR_UNICORN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What we call in libunicorn; filled in by link_unicorn(). */
struct unicorn {
    unsigned (*version)(unsigned *major, unsigned *minor);
    int (*open)(int arch, int mode, void **uc);
    int (*close)(void *uc);
    int (*ctl)(void *uc, int control, ...);
    int (*reg_read)(void *uc, int reg, void *value);
    int (*reg_write)(void *uc, int reg, const void *value);
    int (*mem_map_ptr)(void *uc, uint64_t base, size_t size, uint32_t perms, void *host);
    int (*mem_unmap)(void *uc, uint64_t base, size_t size);
    int (*mem_protect)(void *uc, uint64_t base, size_t size, uint32_t perms);
    int (*mmio_map)(void *uc, uint64_t base, size_t size, void *read, void *read_data,
                    void *write, void *write_data);
    int (*hook_add)(void *uc, size_t *hook, int type, void *callback, void *data,
                    uint64_t begin, uint64_t end, ...);
    int (*hook_del)(void *uc, size_t hook);
    int (*emu_start)(void *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count);
    int (*emu_stop)(void *uc);
    const char *(*strerror)(int error);

    char *(*get_cpu)(void *uc, int index);
    void (*loop_exit_noexc)(void *cs) __attribute__((noreturn));
    bool (*restore_state)(void *cs, uintptr_t host_pc, bool will_exit);
    void (*do_interrupt)(void *cs);
    void (*do_hardirq)(void *env, int vector, int is_hardware);
    void (*raise_exception)(void *env, int vector, int error_code, uintptr_t host_pc)
        __attribute__((noreturn));
    uint64_t (*read_eflags)(void *env);
    void (*write_eflags)(void *env, uint64_t value, uint32_t mask);
    void (*update_hflags)(void *env);
    void (*update_cr0)(void *env, uint32_t value);
    void (*update_cr4)(void *env, uint32_t value);
    void (*update_fp_status)(void *env);
    void (*update_mxcsr_status)(void *env);
    void (*update_dr7)(void *env, uint32_t value);
    void (*set_a20)(void *cs, int enabled);
    void (*exec_enter)(void *cs); /* splits RFLAGS for running */
    void (*exec_exit)(void *cs);  /* makes them whole */
    void (*tlb_init)(void *cs);
    void (*tlb_flush)(void *cs);
    void (*tlb_reset_dirty)(void *cs, uintptr_t host, uint64_t length);
    uint64_t (*ram_address)(void *uc, void *host);
    void (*invalidate)(void *uc, uint64_t start, uint64_t end);
    void (*single_step)(void *env);
    uint64_t (*physical_page)(void *cs, uint64_t linear, uint32_t *attributes);
    uint32_t (*load_code)(void *env, uint64_t linear);
    uint32_t (*load_data)(void *env, uint64_t linear, uintptr_t host_pc); /* four bytes */
    void *(*const_i32)(void *tcg, int32_t value);
    void *(*const_i64)(void *tcg, int64_t value);
    void (*free_temporary)(void *tcg, void *temporary);
    void (*check_io[3])(void *env, uint32_t port); /* by log2 of the size */

    /* what selfcheck.c looks through */
    void (*clgi)(void *env);
    void (*stgi)(void *env);
    uint64_t (*xgetbv)(void *env, uint32_t index);
    void (*cpuid)(void *env, uint32_t index, uint32_t count, uint32_t *eax, uint32_t *ebx,
                  uint32_t *ecx, uint32_t *edx);
    void (*stop_current)(void *uc);
    void (*resume)(void *cs);
    void (*reset_interrupt)(void *cs, int mask);
    void *(*new_temporary)(void *tcg, int type, bool local);
    void *(*emit_operation)(void *tcg, int operation);

    /* the originals behind our replacements */
    void (*raise_interrupt)(void *env, int vector, int is_int, int error_code, int length);
    void (*hlt)(void *env, int length);
    void (*ltr)(void *env, int selector);
    void *(*tb_gen_code)(void *cs, uint64_t pc, uint64_t cs_base, uint32_t flags, int cflags);
    void (*store_entry)(void *cs, uint64_t physical, uint32_t value);
    bool (*tlb_fill)(void *cs, uint64_t address, int size, int access, int mmu_index, bool probe,
                     uintptr_t host_pc);
    void (*generate_call)(void *tcg, void *function, void *result, int count, void **arguments);
    void (*load_seg)(void *env, int segment, int selector);
    void (*bpt_io)(void *env, uint32_t port, uint32_t size, uint64_t next);
    void (*iret_protected)(void *env, int shift, int next_eip);
    void (*lret_protected)(void *env, int shift, int addend);
    void (*ljmp_protected)(void *env, int cs, uint64_t eip, uint64_t next);
    void (*lcall_protected)(void *env, int cs, uint64_t eip, int shift, uint64_t next);
    void (*sysexit)(void *env, int size);
    void (*sysret)(void *env, int size);
    void (*lldt)(void *env, int selector);
    void (*enter_mmx)(void *env);
    void (*emms)(void *env);
    void (*translator_loop)(const void *ops, void *db, void *cs, void *tb, int count);
    void (*ld_i32)(void *tcg, void *value, void *address, uint64_t index, int access);
    void (*ld_i64)(void *tcg, void *value, void *address, uint64_t index, int access);
    void (*st_i32)(void *tcg, void *value, void *address, uint64_t index, int access);
    void (*st_i64)(void *tcg, void *value, void *address, uint64_t index, int access);
    void (*rdmsr)(void *env);
    void (*wrmsr)(void *env);
    uint64_t (*read_cr)(void *env, int number);
    void (*write_cr)(void *env, int number, uint64_t value);
    void (*tb_flush)(void *cs);
    void (*page_written)(void *uc, void *pages, uint64_t start, int length, uintptr_t host_pc);
    void (*tlb_set_dirty)(void *cs, uint64_t virtual);
    void (*tlb_set_page)(void *cs, uint64_t virtual, uint64_t physical, uint32_t attributes,
                         int protection, int mmu_index, uint64_t size);
};

extern struct unicorn unicorn;

/* Loads the shared library at `path`; false with a Python exception set. */
bool link_unicorn(const char *path);

#endif
