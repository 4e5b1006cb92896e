#!/bin/sh
# Every benchmark, one after the other, and a table of all results at the end. Needs root and what prepare.sh made.
# BENCH_RUNS sets the repetitions (default 5), BENCH_FILES the largest tree of scale.ts (default a million).
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${LAB:=${TMPDIR:-/tmp}/lab}"; export LAB
sh "$here/prepare.sh" >/dev/null || exit 1
BENCH_RESULTS=$(mktemp); export BENCH_RESULTS
trap 'rm -f "$BENCH_RESULTS"' EXIT
node=$(ls "$here"/../node_modules/node-linux-*/bin/node | head -1)
status=0
for bench in import-tar import-packed import-ostree import-next checkout-composefs checkout-hardlink checkout-reflink \
  export-tar export-packed store-growth startup pull-http pull-oci pull-link deploy-fleet scale; do
  echo "== $bench" >&2
  "$node" "$here/$bench.ts" >&2 || status=1
done
echo '| what | ours: median (min–max) | peer: median (min–max) | ratio | goal | our peak | result |'
echo '|---|---|---|---|---|---|---|'
cat "$BENCH_RESULTS"
exit $status
