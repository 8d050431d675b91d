#!/bin/sh
# What every host of a slice runs as root when it starts (boot.py fills in SCRIPT and SETTINGS).
HOME=${HOME:-/root}
export HOME
mkdir -p "$HOME/rosella" && cd "$HOME/rosella" || exit
: > born
echo 0 > beat
cat > switch.sh <<'END OF SCRIPT'
SCRIPT
END OF SCRIPT
cat > switch <<'END OF SETTINGS'
SETTINGS
for each in $(find "${ROSELLA_HOMES:-/home}"/*/rosella/beat -newer "$root/born" 2> /dev/null); do
    cp "$each" "$root/beat"
done
END OF SETTINGS
setsid sh switch.sh >> switch.log 2>&1 < /dev/null &
