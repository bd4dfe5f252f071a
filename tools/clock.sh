# Sourced by tools/setup.sh and the Makefile: no step of theirs is silent for long.

# with_clock WHAT COMMAND...: run a command; print a line every 10 seconds that it takes.
with_clock() {
    local what=$1 clock status=0 begun=$SECONDS
    shift
    # Its own output goes nowhere: a sleep that is left over must not keep a reader of ours waiting.
    while sleep 10 >/dev/null 2>&1; do echo "medlab: $what: $((SECONDS - begun)) s"; done &
    clock=$!
    "$@" || status=$?
    kill $clock && wait $clock 2>/dev/null || true
    return $status
}

# The same for a command that shows its own progress on a terminal.
with_clock_off_terminal() {
    if [ -t 2 ]; then
        shift
        "$@"
    else
        with_clock "$@"
    fi
}
