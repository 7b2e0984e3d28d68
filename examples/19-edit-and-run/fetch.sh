#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Get Debian's ordinary kernel for workshop.toml, which knows 9P, and an initramfs with its modules
# around the shell of ../linux. Needs a Debian host, no root, and nothing is installed.
set -eu
cd "$(dirname "$0")"

if [ -s vmlinuz ] && [ -s initrd.img ]; then
    echo "vmlinuz and initrd.img are here already"
    exit 0
fi

# linux-image-amd64 is only a name that depends on the current kernel package.
kernel=$(apt-cache depends linux-image-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
if [ -z "$kernel" ]; then
    echo "fetch.sh: apt knows no package linux-image-amd64; 'apt-get update' as root helps" >&2
    exit 1
fi
work=$(mktemp -d .fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "downloading $kernel and busybox-static, some 70 MB"
# Root's apt would download as the user _apt, who may not write here.
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$kernel" busybox-static)
dpkg-deb -x "$work"/busybox-static_*.deb "$work"
dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -x -C "$work" -f - --wildcards \
    './boot/vmlinuz-*' '*/drivers/virtio/virtio*.ko' '*/net/9p/*.ko' '*/fs/9p/9p.ko' \
    '*/fs/netfs/netfs.ko' '*/fs/fscache/fscache.ko'

# In the order in which the kernel takes them.
for name in virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio virtio_pci 9pnet \
    9pnet_virtio netfs fscache 9p; do
    set -- "$@" "$(find "$work/lib" -name "$name.ko")"
done
python3 ../linux/initramfs.py "$work/bin/busybox" ../linux/init "$work/initrd.img" "$@"
mv "$work/initrd.img" .
mv "$work"/boot/vmlinuz-* vmlinuz
echo "wrote vmlinuz and initrd.img"
