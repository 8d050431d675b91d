#!/bin/sh
# What a host of a slice does for the launcher (launch.py). Every command may be given twice, and ends within seconds but `build` and `follow`.
# Ends with 3 where this host will not get better by itself, with 4 where it may later; the reason is the last line of standard error.
#
# A job is a directory jobs/JOB: `run` is what is to be done, `begun` that it was, `pid` its session, `log`, `code` how it ended,
# `stopped` that it is not to begin any more.
set -u
umask 077
root=$HOME/rosella

bad() { echo "$*" >&2; exit 3; }
later() { echo "$*" >&2; exit 4; }

# Runs what follows when this connection is long gone.
detached() { setsid "$@" < /dev/null 9>&- & }

# install VERSION WHEEL SHA256 EXTRAS: `ready HASH` of all that is installed, `installing`, or `absent` where the wheel must be sent first.
install() {
    home=$root/$1
    if [ -f "$home/ready" ]; then echo "ready $(cat "$home/ready")"; return; fi
    if [ -f "$home/failed" ]; then
        rm -f "$home/failed"
        ! grep -q 'No space left' "$home/install.log" || bad 'the disk is full: what is installed takes some 10 GB'
        later "installing failed: $(grep . "$home/install.log" | tail -n 1)"
    fi
    if [ ! -f "$home/$2" ]; then echo absent; return; fi
    [ "$(sha256sum < "$home/$2" | cut -c 1-64)" = "$3" ] || { rm -f "$home/$2"; later "$2 arrived damaged"; }
    detached sh "$root/host.sh" build "$@" > "$home/build.log" 2>&1
    echo installing
}

build() {
    home=$root/$1
    exec 8> "$home/lock"
    flock -n 8 || exit 0
    if [ -f "$home/ready" ]; then exit 0; fi
    rm -rf "$home/.venv"
    { environment "$home" "$2" "$4" && note_packages "$home"; } > "$home/install.log" 2>&1 || : > "$home/failed"
}

# note_packages HOME: that all is installed, and a hash of what that is.
note_packages() {
    "$1/.venv/bin/python" -m pip list --format=freeze > "$1/packages" &&
        hash=$(sha256sum < "$1/packages") && echo "${hash%% *}" > "$1/new" && mv "$1/new" "$1/ready"
}

# environment HOME WHEEL EXTRAS: of the Python there is, or of one that uv brings.
environment() {
    usable='import sys, ensurepip, venv; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])'
    python=
    for each in python3.12 python3.11 python3; do
        if "$each" -c "$usable"; then python=$each; break; fi
    done
    if [ "$python" ]; then
        "$python" -m venv "$1/.venv" || return
    else
        python3 -m pip install --quiet --upgrade --target "$1/uv" uv &&
            PYTHONPATH=$1/uv python3 -m uv venv --quiet --seed --python 3.12 "$1/.venv" ||
            { echo 'there is neither Python 3.11 or 3.12 nor a way to get one: name another runtime image'; return 1; }
    fi
    "$1/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$1/constraints.txt" "$1/$2$3"
}

# ready JOB VERSION: refuses where the job could not begin; says what time it is here.
ready() {
    job=$root/jobs/$1
    [ -f "$root/$2/ready" ] || later "$2 is not installed"
    [ ! -e "$job/stopped" ] || later "$1 was stopped before it began"
    if [ ! -e "$job/begun" ]; then
        for other in "$root"/jobs/*/; do
            if alive "$other"; then
                other=$(basename "$other")
                detached sh "$root/host.sh" stop "$other" 60 > /dev/null 2>&1
                later "$other still runs, and was told to end"
            fi
        done
        for device in ${ROSELLA_CHIPS:-/dev/accel[0-9]* /dev/vfio/[0-9]*}; do
            [ ! -e "$device" ] || said=$( (: <> "$device") 2>&1 ) || bad "$device cannot be used (${said##*: })"
        done
    fi
    date +%s
}

# begin JOB EXPIRES: unless it began, or was stopped, or an order arrives when nobody waits for it any more.
begin() {
    job=$root/jobs/$1
    exec 9> "$job/lock"
    flock 9
    [ ! -e "$job/stopped" ] || later "$1 was stopped before it began"
    [ ! -e "$job/begun" ] || return 0
    [ "$(date +%s)" -le "$2" ] || later "the order to begin $1 came too late"
    : > "$job/begun"
    detached sh "$root/host.sh" work "$1" > "$job/log" 2>&1
    pid=$!
    while kill -0 "$pid" 2> /dev/null && ! kill -s 0 -- "-$pid" 2> /dev/null; do sleep 0.05; done
    echo "$pid $(started "$pid") $(cat /proc/sys/kernel/random/boot_id)" > "$job/pid" ||
        { kill -s KILL -- "-$pid"; later "cannot write $job/pid"; }
}

# work JOB: in a session of its own, whose signals are for what runs in it; this shell outlives them to note the end.
work() {
    job=$root/jobs/$1
    trap : TERM INT HUP
    umask 022
    sh "$job/run"
    echo $? > "$job/code.new"
    mv "$job/code.new" "$job/code"
}

# When a process began, in ticks since this machine did: with its number, it is that process and no other.
started() { cut -d ' ' -f 22 "/proc/$1/stat" 2> /dev/null; }

# alive JOBDIRECTORY: whether anything of the job runs.
alive() {
    [ ! -e "$1/code" ] && [ -e "$1/pid" ] || return 1
    read -r pid since boot < "$1/pid"
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || return 1
    found=$(started "$pid")
    [ -z "$found" ] || [ "$found" = "$since" ] || return 1
    ps -o stat= -s "$pid" | grep -qv '^Z'
}

# look JOB BYTES: how it is, a line for each fact; after an empty line the end of its log.
look() {
    job=$root/jobs/$1
    now=$(date +%s)
    echo "clock $now"
    if [ ! -e "$job/begun" ]; then
        echo state never
    else
        exec 9> "$job/lock"
        flock 9  # who begins it right now is waited for
        if alive "$job"; then
            echo state running
        else
            echo state ended
            [ ! -e "$job/code" ] || echo "code $(cat "$job/code")"
        fi
    fi
    if [ -e "$job/log" ]; then
        echo "size $(stat -c %s "$job/log")"
        echo "silent $((now - $(stat -c %Y "$job/log")))"
    fi
    echo
    [ ! -e "$job/log" ] || tail -c "$2" "$job/log"
}

# stop JOB SECONDS: asks it to end and waits so long, then ends it.
stop() {
    job=$root/jobs/$1
    mkdir -p "$job"
    exec 9> "$job/lock"
    flock 9
    : > "$job/stopped"
    flock -u 9
    if alive "$job"; then
        kill -s TERM -- "-$pid"
        fifths=$(($2 * 5))
        while alive "$job" && [ "$fifths" -gt 0 ]; do sleep 0.2; fifths=$((fifths - 1)); done
        if alive "$job"; then
            kill -s KILL $(ps -o pid= -s "$pid")
            echo 137 > "$job/code"
        fi
    fi
}

# follow JOB OFFSET: its log from there on, as it grows, until the job ends.
follow() {
    job=$root/jobs/$1
    at=$2
    goes_on=true
    while "$goes_on"; do
        alive "$job" || goes_on=false
        size=$(stat -c %s "$job/log" 2> /dev/null || echo 0)
        if [ "$size" -gt "$at" ]; then
            tail -c "+$((at + 1))" "$job/log" | head -c "$((size - at))" || exit
            at=$size
        elif "$goes_on"; then
            sleep 0.5
        fi
    done
}

# secrets: whether nobody but this person can read them.
secrets() {
    open=$(find "$root/secrets" -perm /077 2> /dev/null)
    [ -z "$open" ] || { rm -rf "$root/secrets"; bad "others can read $open, so no secret was left there"; }
}

# beat: its supervisor lives, by this host's own monotonic clock; sees to it that the dead man's switch runs.
beat() {
    cut -d . -f 1 "${ROSELLA_UPTIME:-/proc/uptime}" > "$root/beat.new" && mv "$root/beat.new" "$root/beat"
    [ ! -e "$root/switch" ] || detached sh "$root/switch.sh" >> "$root/switch.log" 2>&1
}

"$@"
