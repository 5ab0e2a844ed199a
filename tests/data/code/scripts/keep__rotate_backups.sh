#!/usr/bin/env bash
# Keep the last seven daily, four weekly and twelve monthly archives of a folder; delete the rest.
set -euo pipefail

usage() {
    echo "usage: ${0##*/} [-n] FOLDER ARCHIVES" >&2
    exit 2
}

dry_run=0
while getopts ":n" option; do
    case "$option" in
        n) dry_run=1 ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ "$#" -eq 2 ] || usage

folder=$1
archives=$2
today=$(date +%F)

mkdir -p "$archives"
target="$archives/$today.tar.gz"
if [ ! -e "$target" ]; then
    tar --create --gzip --file "$target.part" --directory "$folder" .
    mv "$target.part" "$target"
fi

is_kept() {
    local day=$1 age=$2
    if [ "$age" -lt 7 ]; then return 0; fi
    if [ "$age" -lt 28 ] && [ "$(date -d "$day" +%u)" -eq 7 ]; then return 0; fi
    if [ "$age" -lt 366 ] && [ "${day##*-}" = "01" ]; then return 0; fi
    return 1
}

now=$(date -d "$today" +%s)
for archive in "$archives"/????-??-??.tar.gz; do
    [ -e "$archive" ] || continue
    day=$(basename "$archive" .tar.gz)
    age=$(( (now - $(date -d "$day" +%s)) / 86400 ))
    if is_kept "$day" "$age"; then
        continue
    fi
    if [ "$dry_run" -eq 1 ]; then
        echo "would delete $archive"
    else
        rm -- "$archive"
    fi
done
