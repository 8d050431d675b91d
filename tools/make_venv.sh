#!/bin/sh
# make_venv.sh DIRECTORY: a virtual environment with the first Python 3.11 or 3.12 found; an existing one is kept.
set -eu
supported='import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])'

if "$1/bin/python" -c "import pip; $supported" 2>/dev/null; then exit 0; fi
for python in python3.11 python3.12 python3 python; do
    if "$python" -c "$supported" 2>/dev/null; then
        if "$python" -m venv --clear "$1"; then exit 0; fi
        echo "$python cannot make virtual environments: install its venv package (Debian: apt install python3-venv), then run make again." >&2
        exit 1
    fi
done
echo "Rosella needs Python 3.11 or 3.12 and found neither: install one so that python3.11 or python3.12 is on the PATH, then run make again." >&2
exit 1
