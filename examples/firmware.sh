#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Get Debian's SeaBIOS and OVMF into the current directory: bios-256k.bin and OVMF.fd. Needs a Debian
# host, no root, and nothing is installed.
set -eu

if [ -s bios-256k.bin ] && [ -s OVMF.fd ]; then
    echo "bios-256k.bin and OVMF.fd are here"
    exit 0
fi
work=$(mktemp -d .firmware.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Root's apt would download as the user _apt, who may not write here.
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download seabios ovmf >apt.log 2>&1) || {
    cat "$work/apt.log" >&2
    echo "firmware.sh: the download failed; when apt's lists are old, 'apt-get update' helps" >&2
    exit 1
}
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/files"
done
mv "$work/files/usr/share/seabios/bios-256k.bin" "$work/files/usr/share/ovmf/OVMF.fd" .
echo "bios-256k.bin and OVMF.fd are here"
