#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# For build.sh, before the kernel is installed: what its initrd is to have, in the tree $1.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/vmmgr"
printf '%s\n' virtio_pci virtio_blk >"$1/etc/initramfs-tools/modules"
