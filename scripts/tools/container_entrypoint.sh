#!/bin/sh
# The command of the container: lesionflow, or with `snakemake` as the first word Snakemake on this workflow.
# The user may be unknown and without a home, and the image read-only.
set -eu

repository=$(dirname "$(dirname "$(dirname "$0")")")
if [ "${1-}" = snakemake ]; then
    shift
    set -- snakemake --snakefile "$repository/Snakefile" "$@"
else
    set -- lesionflow "$@"
fi

# Snakemake asks for the name of the user, which a user id of the host does not have here.
USER=${USER:-$(id -un 2>/dev/null || id -u)}
export USER

# Snakemake and matplotlib need a folder for caches, which must not be another user's.
if [ -z "${HOME-}" ] || [ ! -w "${XDG_CACHE_HOME:-$HOME}" ]; then
    HOME=${TMPDIR:-/tmp}/lesionflow-home-$(id -u)
    mkdir -m 700 "$HOME" 2>/dev/null || true
    if [ ! -O "$HOME" ] || [ -L "$HOME" ]; then
        HOME=$(mktemp -d)
    fi
    XDG_CACHE_HOME=$HOME/.cache
    MPLCONFIGDIR=$HOME/.config/matplotlib
    export HOME XDG_CACHE_HOME MPLCONFIGDIR
fi
exec "$@"
