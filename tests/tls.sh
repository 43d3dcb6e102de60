#!/usr/bin/env bash
# usage: tls.sh MOST LIBRARY…   fails if the libraries have more than MOST bytes of variables for each thread: a
# program that loads them while it runs has room for so few
set -euo pipefail

most=$1 total=0
shift
for library; do
  bytes=$(readelf --segments --wide "$library" | awk '$1 == "TLS" { print $6 }')
  echo "$library: $((${bytes:-0}))"
  total=$((total + ${bytes:-0}))
done
echo "together $total bytes, at most $most"
((total <= most))
