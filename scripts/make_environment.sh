#!/usr/bin/env bash
# Makes or completes a virtual environment with this package and the extras asked for.
#   scripts/make_environment.sh FOLDER [EXTRAS]      e.g. .venv train,demo
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
extras=${2:-}
torch_version=2.13.0
# torchvision is compiled against one PyTorch, and the package index has it for PyTorch's default build alone.
torchvision_pair=(torch==2.14.1 torchvision==0.29.1)

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "aunet needs Python 3.11 or newer, found $("$python" --version); set PYTHON to one" >&2
    exit 2
fi
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
# Python compiles what it imports, which is a small part of what is installed.
install() { "$folder/bin/python" -m pip --disable-pip-version-check install --quiet --no-compile "$@"; }

# PyTorch's default build for Linux brings several GB of CUDA libraries, which a machine without a GPU can't use.
if [[ $extras == *train* ]] && ! "$folder/bin/python" -c 'import torch' 2>/dev/null; then
    if [[ $extras == *encoders* ]]; then
        install "${torchvision_pair[@]}"
    elif [ "$(uname)" = Linux ] && ! nvidia-smi >/dev/null 2>&1; then
        install "torch==$torch_version+cpu" 2>/dev/null ||
            install --find-links https://download.pytorch.org/whl/cpu/torch/ "torch==$torch_version+cpu"
    else
        install "torch==$torch_version"
    fi
fi
install --constraint constraints.txt --editable ".${extras:+[$extras]}"
