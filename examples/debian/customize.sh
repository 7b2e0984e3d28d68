#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# For build.sh, when all packages are installed: the settings of the tree $1.
set -eu
echo debian >"$1/etc/hostname"
echo "/dev/vda1 / ext4 errors=remount-ro 0 1" >"$1/etc/fstab"
chroot "$1" passwd --quiet --delete root
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer e2scrub_reap.service systemd-pstore.service; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
# GRUB, like Linux, talks on the serial port.
mkdir -p "$1/boot/grub"
cat >"$1/boot/grub/grub.cfg" <<'CONFIG'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry "Debian" {
    linux /vmlinuz root=/dev/vda1 ro console=ttyS0 quiet
    initrd /initrd.img
}
CONFIG
rm -rf "$1"/var/cache/apt/*.bin "$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/var/log/apt
