#!/bin/sh
# The dead man's switch of a host (switch.py arms it): where no supervisor was heard of for so many seconds, it stops what runs
# and deletes the slice this host belongs to, with the host's own service account. It goes on until that has happened.
set -u
root=$HOME/rosella
exec 8> "$root/switch.lock"
flock -n 8 || exit 0

say() { echo "$(date -u '+%Y-%m-%d %H:%M:%S') $*"; }

# The token comes as curl's own settings on its standard input, so that no list of processes shows it.
token() {
    curl --silent --fail --max-time 60 --header 'Metadata-Flavor: Google' \
        "http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance/service-accounts/default/token" |
        sed -n 's/.*"access_token" *: *"\([^"]*\)".*/header = "Authorization: Bearer \1"/p'
}

delete() { token | curl --silent --show-error --max-time 60 --output /dev/null --write-out '%{http_code}' --config - --request DELETE "$1"; }

while :; do
    now=$(cut -d . -f 1 "${ROSELLA_UPTIME:-/proc/uptime}")  # before the beat is read, so that one that comes meanwhile counts
    . "$root/switch"  # orphaned and grace (seconds), urls
    silent=$((now - $(cat "$root/beat")))
    if [ "$silent" -gt "$orphaned" ]; then
        say "No supervisor for $silent s: what runs is stopped."
        for job in "$root"/jobs/*/; do
            [ ! -d "$job" ] || [ -e "$job/code" ] || sh "$root/host.sh" stop "$(basename "$job")" "$grace"
        done
        for url in $urls; do say "DELETE $url: $(delete "$url" 2>&1)"; done
        [ "$urls" ] || exit 0
    fi
    sleep "${ROSELLA_SWITCH_SECONDS:-60}"
done
