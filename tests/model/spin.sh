#!/bin/sh
# spin.sh MODEL CLAIM holds|fails [-DNAME=VALUE...]: whether Spin finds that the
# claim holds, or that it does not.  Prints the history of a failure.
set -eu
model=$1 claim=$2 expected=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cp -- "$model" "$folder/model.pml"
cd -- "$folder"
spin "$@" -a model.pml >generated || { cat generated; exit 2; }
${CC:-cc} -O1 -w -DNFAIR=6 -o pan pan.c
./pan -a -f -m1000000 -N "$claim" >report
grep -E 'errors:|states, stored|assertion violated|acceptance cycle|max search depth' report
if grep -q 'max search depth' report; then
  exit 2
fi
if grep -q 'errors: 0' report; then
  found=holds
else
  found=fails
  [ "$expected" = fails ] || spin "$@" -t -p -g model.pml
fi
echo "$claim: $found; expected: $expected"
[ "$found" = "$expected" ]
