#!/bin/sh
# On the machine with the GPU, in the root of the repository, one line a call:
#
#   sh trainer/mini/gpu/on_machine.sh take .ship/1-pictures.tar    unpacks a piece
#   sh trainer/mini/gpu/on_machine.sh start [OPTIONS OF run]       starts all, in the background
#   sh trainer/mini/gpu/on_machine.sh fuse [OPTIONS OF fuse]       the same with `fuse` for `run`
#   sh trainer/mini/gpu/on_machine.sh again [OPTIONS OF run]       starts `run` once more
#   sh trainer/mini/gpu/on_machine.sh wait 560                     waits, and copies results to $OUT
#
# Pieces may arrive before `start` or after it. ROOT, DEVICE and VIEWS may be set for a trial.
set -e
ROOT=${ROOT:-/tmp/gpu}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONPATH="$ROOT/code${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$ROOT/out" "$ROOT/log"

code() {
    mkdir -p "$ROOT/code/antifake"
    cp -R core trainer "$ROOT/code/antifake/"
}

background() { # NAME ARGUMENTS...
    name=$1
    shift
    OMP_NUM_THREADS=${THREADS:-1} setsid nohup "$PYTHON" -m antifake.trainer.mini.gpu "$@" \
        >> "$ROOT/log/$name.log" 2>&1 < /dev/null &
    echo $! > "$ROOT/log/$name.pid"
}

collect() {
    [ -n "${OUT:-}" ] || return 0
    cp "$ROOT/log/"*.log "$ROOT/out/" 2> /dev/null || true
    (cd "$ROOT/out" && tar czf "$OUT/small.tar.gz" --exclude=./large .)
    cp "$ROOT/out/large/"* "$OUT/" 2> /dev/null || true
}

what=$1
shift
case $what in
take)
    for file in "$@"; do tar xf "$file" -C "$ROOT"; done
    ;;
start)
    code
    background views views --root "$ROOT" --device "$DEVICE" ${VIEWS:-}
    THREADS=${THREADS:-4} background run run --root "$ROOT" --device "$DEVICE" "$@"
    ;;
fuse)
    code
    background views views --root "$ROOT" --device "$DEVICE" ${VIEWS:---changed 3 --no-aligned}
    THREADS=${THREADS:-4} background run fuse --root "$ROOT" --device "$DEVICE" "$@"
    ;;
again)
    kill "$(cat "$ROOT/log/run.pid")" 2> /dev/null || true
    code
    THREADS=${THREADS:-4} background run run --root "$ROOT" --device "$DEVICE" "$@"
    ;;
wait)
    left=$1
    while [ "$left" -gt 0 ] && [ ! -f "$ROOT/out/finished" ]; do
        kill -0 "$(cat "$ROOT/log/run.pid")" 2> /dev/null || break
        sleep 1
        left=$((left - 1))
    done
    collect
    ;;
*)
    echo "take, start, fuse, again or wait" >&2
    exit 2
    ;;
esac
ls "$ROOT/pieces" 2> /dev/null | tr '\n' ' '
echo
tail -n 60 "$ROOT/log/"*.log 2> /dev/null || true
