# Runs one process of a cluster, and ends it when whoever started it goes away.
#
#   sh -c "$(cat supervisor.sh)" supervisor LOG DIRECTORY COMMAND [ARGUMENT...]
#
# Standard input takes one signal's name a line (TERM, KILL, STOP, CONT); each is answered on standard output by "ok",
# or by "gone" when there was no process any more. The last line of output is "exit STATUS". When standard input ends,
# which it also does when the process that holds its other end is killed, COMMAND is killed and DIRECTORY removed.
#
# The kernel keeps COMMAND's process id for us until the `wait` below has returned, so no signal can meet a stranger.
log=$1 directory=$2
shift 2
exec 3<&0 </dev/null

"$@" >>"$log" 2>&1 3<&- &
pid=$!
trap '' PIPE # after the start: the process must not inherit it

(
    while read -r signal <&3; do
        if kill -s "$signal" "$pid" 2>/dev/null; then echo ok; else echo gone; fi
    done
    : >"$directory/abandoned" # before the kill: what follows it is in the other shell's hands
    kill -s KILL "$pid"
) 2>/dev/null &
listener=$!
exec 3<&-

wait "$pid"
status=$?
kill -s TERM "$listener" 2>/dev/null
if [ -e "$directory/abandoned" ]; then
    rm -rf "$directory"
    rmdir "${directory%/*}" 2>/dev/null # the last of the cluster takes its directory along
fi
echo "exit $status" 2>/dev/null
