#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What `make hello` shows where there is no terminal to type on: our small guest boots, is suspended
# in the middle of a typed line, and answers that line in another process. Needs vmmgr on PATH.
set -eu
cd "$(dirname "$0")/.."

# A state directory of its own: a machine named hello may be running already.
VMMGR_STATE_HOME=$(mktemp -d)
export VMMGR_STATE_HOME
trap 'vmmgr down --all >/dev/null 2>&1 || true; rm -rf "$VMMGR_STATE_HOME"' EXIT
trap 'exit 130' INT TERM

show() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

show 'vmmgr up -d machines/hello.toml'
show 'vmmgr ls'
printf '\n# Half a line: the command u, without its Enter.\n'
show 'vmmgr send hello u'
show 'vmmgr suspend hello'
show 'vmmgr ls'
printf '\n# The machine is only files now. A new process goes on with it, and gets the Enter.\n'
show 'vmmgr resume -d hello'
show 'vmmgr ls'
show "vmmgr send hello '\\rq\\r'"
show 'vmmgr wait hello stopped --timeout 30s'
show 'vmmgr logs hello'
