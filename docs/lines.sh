#!/bin/sh
# Counts the lines of the programs of docs/first-pages.md, without blank ones,
# comments, package and imports.
cd "$(dirname "$0")/.." || exit
for f in examples/first/*/main.go; do
	printf '%s ' "$f"
	grep -v '^[[:space:]]*$' "$f" | grep -v '^[[:space:]]*//' | sed '/^package /d; /^import (/,/^)/d' | wc -l
done
