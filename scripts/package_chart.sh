#!/usr/bin/env bash
# Makes the chart as it is released: with the charts of others that dependencies.yaml names.
#
#   scripts/package_chart.sh [FOLDER [DEPENDENCIES]]     needs helm, and their repositories
set -euo pipefail
out=${1:-dist}
chart=$(cd "$(dirname "$0")/../charts/sie-cluster" && pwd)
dependencies=$(realpath "${2:-$chart/dependencies.yaml}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$chart" "$work/sie-cluster"
cat "$dependencies" >>"$work/sie-cluster/Chart.yaml"
mkdir -p "$out"
helm dependency update "$work/sie-cluster" >/dev/null
helm package "$work/sie-cluster" --destination "$out"
