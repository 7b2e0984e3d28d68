#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Build a disk with a real Debian for machines/debian.toml: GRUB in the MBR, systemd, a login on the
# serial port. From Debian's packages, with neither a loop device nor root rights.
#
#   examples/debian/build.sh [--force] [DIRECTORY]        default: machines/debian
#
# Needs mmdebstrap, e2fsprogs and grub-common; without root also fakeroot and either
# user namespaces with a range of ids in /etc/subuid, or fakechroot.
set -eu

suite=bookworm
size=768M
here=$(cd "$(dirname "$0")" && pwd)
target=$(dirname "$(dirname "$here")")/machines/debian
force=no
for argument in "$@"; do
    case $argument in
    --force) force=yes ;;
    -*)
        echo "usage: $0 [--force] [DIRECTORY]" >&2
        exit 2
        ;;
    *) target=$argument ;;
    esac
done

fail() {
    echo "build.sh: $1" >&2
    exit 1
}

if [ "$force" = no ] && [ -s "$target/debian.img" ]; then
    echo "$target has debian.img already (--force builds it again)"
    exit 0
fi

PATH=$PATH:/usr/sbin:/sbin
for tool in mmdebstrap:mmdebstrap mke2fs:e2fsprogs grub-mkimage:grub-common python3:python3; do
    command -v "${tool%:*}" >/dev/null || fail "${tool%:*} is missing: apt install ${tool#*:}"
done
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v fakeroot >/dev/null || fail "fakeroot is missing: apt install fakeroot"
    as_root=fakeroot
fi

mkdir -p "$target"
work=$(mktemp -d "$target/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# GRUB for a BIOS, which need not be installed here.
grub=/usr/lib/grub/i386-pc
if [ ! -e "$grub/boot.img" ]; then
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download grub-pc-bin) ||
        fail "grub-pc-bin cannot be had; when the lists are old, 'apt-get update' as root helps"
    dpkg-deb -x "$work"/grub-pc-bin_*.deb "$work/grub"
    grub=$work/grub/usr/lib/grub/i386-pc
fi

# What makes a small Debian that boots: a kernel, and an initrd with the disk's driver and no more.
# There is no manual, no translation; no daily jobs, as virtual time may run far ahead.
echo "installing Debian $suite"
mmdebstrap --quiet --variant=minbase \
    --include=systemd-sysv,udev,linux-image-cloud-amd64,initramfs-tools,zstd \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --essential-hook="sh $here/prepare.sh \"\$1\"" \
    --customize-hook="sh $here/customize.sh \"\$1\"" \
    "$suite" "$work/root.tar"

echo "making the disk"
$as_root sh -eu -c '
    mkdir "$1/root"
    tar -x -p -f "$1/root.tar" -C "$1/root"
    mke2fs -q -t ext4 -L root -d "$1/root" "$1/root.img" "$2" >"$1/mke2fs.txt"
' build "$work" "$size"
grub-mkimage -O i386-pc -d "$grub" -p '(hd0,msdos1)/boot/grub' -o "$work/core.img" \
    biosdisk part_msdos ext2 normal linux serial terminal echo test configfile reboot halt ls cat
python3 "$here/grub_disk.py" "$work/core.img" "$grub/boot.img" "$work/root.img" "$work/debian.img"
mv "$work/debian.img" "$target/debian.img"
echo "wrote $target/debian.img"
