/* SPDX-License-Identifier: BSD-2-Clause */
/* Random writes to PCI configuration space: BARs over other devices, everything enabled. */
#include "hammer.inc"

main:
        begin_noise
        next    eax
        and     eax, 0x0000fffc         /* bus 0, any slot, function and register */
        test    ebp, 0x70000
        jz      1f
        and     eax, 0x0000f83c         /* rather function 0 and the header */
1:      or      eax, 0x80000000
        mov     edx, 0xcf8
        out     dx, eax
        next    eax
        test    ebp, 0x300000
        jz      2f
        and     eax, 0x0fff             /* rather where other devices are */
2:      mov     edx, 0xcfc
        out     dx, eax
        in      eax, dx
        next    edx
        and     edx, 0xfff
        access_port
