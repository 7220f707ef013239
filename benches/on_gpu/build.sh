#!/usr/bin/env bash
# Collects in target/on_gpu what benches/on_gpu/run.sh needs on a machine with a GPU and neither Rust nor network: the
# tests that need a device, the benchmarks, the demo, PyTorch's peer and the Vulkan loader. For Linux on x86-64.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=target/on_gpu
# The loader and what NVIDIA's driver asks of it; packages of Debian and Ubuntu.
packages=(libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2)

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "build.sh: $(uname -sm) is not Linux x86_64" >&2; exit 2; }

mkdir -p "$folder/bin" "$folder/loader"
rm -f "$folder"/bin/*

# cargo says where each executable lies.
place() { # NAME: a line of its messages, whose target has that name, with an executable
    local path
    path=$(grep -F "\"name\":\"$1\"" | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
    [ -n "$path" ] || { echo "build.sh: cargo built no $1" >&2; exit 1; }
    install -m 755 "$path" "$folder/bin/$1"
    strip "$folder/bin/$1"
}
messages=$(cargo build --locked --release --message-format json-render-diagnostics \
    --test gpu --example demo --bench copy --bench shapes --bench plan_sweep --bench tail \
    --bench host_cost --bench compare)
for name in gpu demo copy shapes plan_sweep tail host_cost compare; do
    place "$name" <<<"$messages"
done

install -m 755 benches/on_gpu/run.sh benches/peers/torch_batch_norm.py "$folder"
{ git log -1 --format='%h %cs' && git status --short --untracked-files=no; } >"$folder/version" 2>/dev/null || true

# What is not needed where the machine has a loader already.
cd "$folder/loader"
if ! ls libvulkan1_*_amd64.deb >/dev/null 2>&1; then
    apt-get download "${packages[@]}" || { apt-get update && apt-get download "${packages[@]}"; } ||
        echo "build.sh: no packages of the Vulkan loader; the machine needs one of its own" >&2
fi
cd ..
size=$(du -sm . | cut -f 1)
echo "$folder: $size MiB"
[ "$size" -le 60 ] || { echo "build.sh: more than 60 MiB" >&2; exit 1; }
