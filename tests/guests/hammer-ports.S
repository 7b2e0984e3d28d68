/* SPDX-License-Identifier: BSD-2-Clause */
/* Random accesses to random ports; the low 4 KiB, where the devices are, more often. */
#include "hammer.inc"

main:
        begin_noise
        next    edx
        test    edx, 0x30000
        jz      1f
        and     edx, 0xfff
1:      access_port
