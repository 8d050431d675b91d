"""A training that is a chain of hashes: what a shell can do in no time, and what nothing else ends as."""

from __future__ import annotations

import hashlib

SCRIPT = """
# The first host takes steps, each of which follows from the one before, and saves every fifth; the others wait for it.
step=0; value=
if [ -f "$SHARED/saved" ]; then read -r step value < "$SHARED/saved"; fi
save() {
    echo "$step $value" > "$SHARED/new"; mv "$SHARED/new" "$SHARED/saved"
    time='{"split": "time", "step": %s, "productive": %s, "first_step": %s}'
    printf "$time\\n" "$step" "$step" $$ >> "$SHARED/metrics.jsonl"
}
trap stop=1 TERM
stop=
while [ ! "$stop" ] && [ "$step" -lt "$STEPS" ]; do
    sleep 0.02
    if [ "$JAX_PROCESS_ID" = 0 ]; then
        step=$((step + 1))
        value=$(printf '%s %s' "$value" "$step" | sha256sum | cut -c 1-64)
        if [ $((step % 5)) = 0 ]; then save; fi
    elif [ -f "$SHARED/saved" ]; then
        read -r step value < "$SHARED/saved"
    fi
done
if [ "$stop" ]; then
    if [ "$JAX_PROCESS_ID" = 0 ]; then save; fi
    exit 143
fi
"""
"""Its `environment` has SHARED, a folder that outlives hosts, and STEPS."""


def chain(steps: int) -> str:
    """What is saved after so many steps."""
    value = ""
    for step in range(1, steps + 1):
        value = hashlib.sha256(f"{value} {step}".encode()).hexdigest()
    return f"{steps} {value}"
