#!/usr/bin/env bash
# Gets what some checks need, into .sie/tools and .venv, without root but for the browser. What cannot be had is named,
# and the tests that need it are skipped with a message.
#
#   grpcurl, helm           built by Go
#   compose-go              reads compose files; built by Go
#   terraform-provider-google    knows Google's arguments; built by Go from tests/terraform/provider
#   promtool, prometheus    from Debian's package
#   chromium                installed from Debian, which needs root
#   hadolint, kubernetes-validate, python-hcl2    from requirements/charts.txt
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.sie/tools
mkdir -p "$tools"

missing() { echo "tools: no $1: $2" >&2; }

# build NAME MODULE@VERSION
build() {
    if [ -x "$tools/$1" ]; then return; fi
    if ! command -v go >/dev/null; then missing "$1" "it is built with Go"; return; fi
    GOBIN=$tools go install "$2" || missing "$1" "go install $2 failed"
}

compose() {
    if [ -x "$tools/compose-go" ]; then return; fi
    build cmd github.com/compose-spec/compose-go/v2/cmd@v2.9.1
    if [ -x "$tools/cmd" ]; then mv "$tools/cmd" "$tools/compose-go"; fi
}

provider() {
    local sources=tests/terraform/provider target=$tools/terraform-provider-google
    if [ -x "$target" ] && [ -z "$(find $sources -newer "$target")" ]; then return; fi
    if ! command -v go >/dev/null; then missing terraform-provider-google "it is built with Go"; return; fi
    go build -C $sources -o "$target" . || missing terraform-provider-google "go build failed"
}

prometheus() {
    if [ -x "$tools/promtool" ]; then return; fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        missing promtool "it is taken from Debian's package prometheus"
        return
    fi
    local work
    work=$(mktemp -d)
    if (cd "$work" && { apt-get download -qq prometheus 2>/dev/null ||
        { apt-get update -qq && apt-get download -qq prometheus; }; } >&2); then
        dpkg-deb -x "$work"/prometheus_*.deb "$work/files"
        cp "$work/files/usr/bin/promtool" "$work/files/usr/bin/prometheus" "$tools"
    else
        missing promtool "apt-get could not download prometheus"
    fi
    rm -rf "$work"
}

browser() {
    if command -v chromium chromium-browser google-chrome >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        missing chromium "install it for the tests of the console"
        return
    fi
    { apt-get install -y -qq --no-install-recommends chromium ||
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }; } \
        >/dev/null 2>&1 || missing chromium "apt-get could not install it"
}

build grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
build helm helm.sh/helm/v3/cmd/helm@v3.18.6
compose
provider
prometheus
browser
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements/charts.txt || missing "checks of objects" "requirements/charts.txt cannot be installed"
