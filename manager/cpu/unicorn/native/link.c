/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding our way into libunicorn: by name, at run time, in one place. */
#include <dlfcn.h>

#include "engine.h"

struct unicorn unicorn;

static bool find(void *library, const char *name, void *slot)
{
    void *address = dlsym(library, name);
    if (address == NULL) {
        PyErr_Format(PyExc_ImportError, "its library has no function %s", name);
        return false;
    }
    *(void **)slot = address;
    return true;
}

bool link_unicorn(const char *path)
{
    /* A library that is already loaded has bound its own versions of what we replace. */
    void *loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (loaded != NULL && unicorn.open == NULL) {
        dlclose(loaded);
        PyErr_SetString(PyExc_ImportError, "the Unicorn library was loaded before vmmgr's native half");
        return false;
    }
    void *library = loaded != NULL ? loaded : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        PyErr_SetString(PyExc_ImportError, dlerror());
        return false;
    }

    unsigned version;
    if (!find(library, "uc_version", &unicorn.version))
        return false;
    if (((version = unicorn.version(NULL, NULL)) & 0xffffff00) != UNICORN_VERSION) {
        PyErr_Format(PyExc_ImportError, "it is Unicorn %u.%u.%u, and vmmgr knows 2.1.4 only",
                     version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
        return false;
    }

    const struct {
        const char *name;
        void *slot;
    } wanted[] = {
        {"uc_open", &unicorn.open},
        {"uc_close", &unicorn.close},
        {"uc_ctl", &unicorn.ctl},
        {"uc_reg_read", &unicorn.reg_read},
        {"uc_reg_write", &unicorn.reg_write},
        {"uc_mem_map_ptr", &unicorn.mem_map_ptr},
        {"uc_mem_unmap", &unicorn.mem_unmap},
        {"uc_mem_protect", &unicorn.mem_protect},
        {"uc_mmio_map", &unicorn.mmio_map},
        {"uc_hook_add", &unicorn.hook_add},
        {"uc_hook_del", &unicorn.hook_del},
        {"uc_emu_start", &unicorn.emu_start},
        {"uc_emu_stop", &unicorn.emu_stop},
        {"uc_strerror", &unicorn.strerror},
        {"qemu_get_cpu_x86_64", &unicorn.get_cpu},
        {"cpu_loop_exit_noexc_x86_64", &unicorn.loop_exit_noexc},
        {"cpu_restore_state_x86_64", &unicorn.restore_state},
        {"x86_cpu_do_interrupt_x86_64", &unicorn.do_interrupt},
        {"do_interrupt_x86_hardirq_x86_64", &unicorn.do_hardirq},
        {"raise_exception_err_ra_x86_64", &unicorn.raise_exception},
        {"helper_read_eflags_x86_64", &unicorn.read_eflags},
        {"helper_write_eflags_x86_64", &unicorn.write_eflags},
        {"x86_update_hflags_x86_64", &unicorn.update_hflags},
        {"cpu_x86_update_cr0_x86_64", &unicorn.update_cr0},
        {"cpu_x86_update_cr4_x86_64", &unicorn.update_cr4},
        {"update_fp_status_x86_64", &unicorn.update_fp_status},
        {"update_mxcsr_status_x86_64", &unicorn.update_mxcsr_status},
        {"cpu_x86_update_dr7_x86_64", &unicorn.update_dr7},
        {"x86_cpu_set_a20_x86_64", &unicorn.set_a20},
        {"x86_cpu_exec_enter_x86_64", &unicorn.exec_enter},
        {"x86_cpu_exec_exit_x86_64", &unicorn.exec_exit},
        {"tlb_init_x86_64", &unicorn.tlb_init},
        {"tlb_flush_x86_64", &unicorn.tlb_flush},
        {"tb_flush_x86_64", &unicorn.tb_flush},
        {"tlb_reset_dirty_x86_64", &unicorn.tlb_reset_dirty},
        {"tlb_set_dirty_x86_64", &unicorn.tlb_set_dirty},
        {"tlb_set_page_with_attrs_x86_64", &unicorn.tlb_set_page},
        {"qemu_ram_addr_from_host_x86_64", &unicorn.ram_address},
        {"tb_invalidate_phys_range_x86_64", &unicorn.invalidate},
        {"helper_rechecking_single_step_x86_64", &unicorn.single_step},
        {"x86_cpu_get_phys_page_attrs_debug_x86_64", &unicorn.physical_page},
        {"cpu_ldub_code_x86_64", &unicorn.load_code},
        {"helper_clgi_x86_64", &unicorn.clgi},
        {"helper_stgi_x86_64", &unicorn.stgi},
        {"helper_xgetbv_x86_64", &unicorn.xgetbv},
        {"cpu_x86_cpuid_x86_64", &unicorn.cpuid},
        {"cpu_stop_current_x86_64", &unicorn.stop_current},
        {"cpu_resume_x86_64", &unicorn.resume},
        {"cpu_reset_interrupt", &unicorn.reset_interrupt},
        {"tcg_temp_new_internal_x86_64", &unicorn.new_temporary},
        {"tcg_emit_op_x86_64", &unicorn.emit_operation},
        {"raise_interrupt_x86_64", &unicorn.raise_interrupt},
        {"helper_hlt_x86_64", &unicorn.hlt},
        {"helper_ltr_x86_64", &unicorn.ltr},
        {"tb_gen_code_x86_64", &unicorn.tb_gen_code},
        {"x86_stl_phys_notdirty_x86_64", &unicorn.store_entry},
        {"x86_cpu_tlb_fill_x86_64", &unicorn.tlb_fill},
        {"helper_check_iob_x86_64", &unicorn.check_io[0]},
        {"helper_check_iow_x86_64", &unicorn.check_io[1]},
        {"helper_check_iol_x86_64", &unicorn.check_io[2]},
        {"tcg_gen_callN_x86_64", &unicorn.generate_call},
        {"cpu_ldl_data_ra_x86_64", &unicorn.load_data},
        {"tcg_const_i32_x86_64", &unicorn.const_i32},
        {"tcg_const_i64_x86_64", &unicorn.const_i64},
        {"tcg_temp_free_internal_x86_64", &unicorn.free_temporary},
        {"helper_load_seg_x86_64", &unicorn.load_seg},
        {"helper_bpt_io_x86_64", &unicorn.bpt_io},
        {"helper_iret_protected_x86_64", &unicorn.iret_protected},
        {"helper_lret_protected_x86_64", &unicorn.lret_protected},
        {"helper_ljmp_protected_x86_64", &unicorn.ljmp_protected},
        {"helper_lcall_protected_x86_64", &unicorn.lcall_protected},
        {"helper_sysexit_x86_64", &unicorn.sysexit},
        {"helper_sysret_x86_64", &unicorn.sysret},
        {"helper_lldt_x86_64", &unicorn.lldt},
        {"helper_enter_mmx_x86_64", &unicorn.enter_mmx},
        {"helper_emms_x86_64", &unicorn.emms},
        {"translator_loop_x86_64", &unicorn.translator_loop},
        {"tcg_gen_qemu_ld_i32_x86_64", &unicorn.ld_i32},
        {"tcg_gen_qemu_ld_i64_x86_64", &unicorn.ld_i64},
        {"tcg_gen_qemu_st_i32_x86_64", &unicorn.st_i32},
        {"tcg_gen_qemu_st_i64_x86_64", &unicorn.st_i64},
        {"helper_rdmsr_x86_64", &unicorn.rdmsr},
        {"helper_wrmsr_x86_64", &unicorn.wrmsr},
        {"helper_read_crN_x86_64", &unicorn.read_cr},
        {"helper_write_crN_x86_64", &unicorn.write_cr},
        {"tb_invalidate_phys_page_fast_x86_64", &unicorn.page_written},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (!find(library, wanted[i].name, wanted[i].slot))
            return false;

    return true;
}
