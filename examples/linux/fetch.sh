#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Get a stock Linux for machines/linux.toml: Debian's cloud kernel, and an initramfs around Debian's
# static busybox; for machines/station.toml the same with the driver of a virtio network card. Needs a
# Debian host, no root, and nothing is installed.
#
#   examples/linux/fetch.sh [--force] [DIRECTORY]        default: machines/linux
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=$(dirname "$(dirname "$here")")/machines/linux
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
    echo "fetch.sh: $1" >&2
    exit 1
}

if [ "$force" = no ] && [ -s "$target/vmlinuz" ] && [ -s "$target/initrd.img" ] &&
    [ -s "$target/network.img" ]; then
    echo "$target has vmlinuz, initrd.img and network.img already (--force fetches them again)"
    exit 0
fi

for tool in apt-get apt-cache dpkg-deb python3; do
    command -v "$tool" >/dev/null || fail "$tool is missing; this script needs a Debian host"
done

# linux-image-cloud-amd64 is only a name that depends on the current kernel package.
kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || fail "apt knows no package linux-image-cloud-amd64.
  On Debian its package lists are missing: run 'apt-get update' as root once, then this again.
  Other systems do not have this kernel; put a vmlinuz and an initrd.img into
  $target yourself."

mkdir -p "$target"
work=$(mktemp -d "$target/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "downloading $kernel and busybox-static"
# Root's apt would download as the user _apt, who may not write here.
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$kernel" busybox-static) ||
    fail "the download failed; when the lists are old, 'apt-get update' as root helps"

for package in "$work"/*.deb; do
    echo "$(dpkg-deb -f "$package" Package) $(dpkg-deb -f "$package" Version)" \
        "sha256 $(sha256sum "$package" | cut -d ' ' -f 1)"
done | tee "$work/versions.txt"

# Of the kernel package the kernel, and the modules of virtio disks, network cards and consoles.
kernel_path=./boot/vmlinuz-${kernel#linux-image-}
kernel_path=${kernel_path%-unsigned}
dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -x -O -f - "$kernel_path" >"$work/vmlinuz"
dpkg-deb --fsys-tarfile "$work"/busybox-static_*.deb | tar -x -O -f - ./bin/busybox >"$work/busybox"
mkdir "$work/tree" "$work/modules"
dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -x -C "$work/tree" -f - --wildcards \
    '*/drivers/virtio/virtio*.ko' '*/drivers/block/virtio_blk.ko' '*/drivers/char/virtio_console.ko' \
    '*/drivers/net/virtio_net.ko' '*/drivers/net/net_failover.ko' '*/net/core/failover.ko' ||
    fail "$kernel has no such modules"
find "$work/tree" -name '*.ko' -exec mv {} "$work/modules" \;
[ -s "$work/vmlinuz" ] || fail "$kernel has no $kernel_path"
[ -s "$work/busybox" ] || fail "busybox-static has no /bin/busybox"
python3 "$here/initramfs.py" "$work/busybox" "$here/init" "$work/initrd.img"
# In the order in which the kernel takes them.
set -- virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio virtio_pci failover \
    net_failover virtio_net
for name; do
    shift
    set -- "$@" "$work/modules/$name.ko"
done
python3 "$here/initramfs.py" "$work/busybox" "$here/init" "$work/network.img" "$@"

# Each file appears whole or not at all.
rm -rf "$target/modules"
for file in modules versions.txt vmlinuz initrd.img network.img; do
    mv "$work/$file" "$target/$file"
done
echo "wrote vmlinuz, initrd.img and network.img to $target"
