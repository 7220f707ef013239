#!/usr/bin/env bash
# Runs on a machine with a GPU what build.sh has collected beside this script: the tests, the benchmarks and the PyTorch
# peer, in one call under 9 minutes. Needs neither Rust nor network; PyTorch where there is one.
#
#   run.sh [--quick] [--seconds N] [--out FOLDER] [--stages NAME,NAME]
#
# Writes at most 8 files to FOLDER ($OUT or ./out): log.txt, summary.md and JSON. A stage that runs out of its time leaves
# what it has measured; what a stage does not use is left to later ones. Exit code: 0 if every stage that ran succeeded.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

quick=() total=520 out=${OUT:-$PWD/out} chosen=
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=(--quick) ;;
    --seconds) total=$2 && shift ;;
    --out) out=$2 && shift ;;
    --stages) chosen=,$2, && shift ;;
    *) echo "run.sh: does not know $1" >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
log=$out/log.txt summary=$out/summary.md
: >"$log"
: >"$summary"
# Not every way of carrying files keeps their modes.
chmod +x "$here"/bin/* 2>/dev/null
say() { printf '%s\n' "$*" | tee -a "$log"; }

# --- The driver ---

export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
libraries() { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; }
if ! libraries | grep -q 'libvulkan\.so\.1'; then
    for package in "$here"/loader/*.deb; do
        # Beside the system, not over it.
        [ -e "$package" ] && dpkg -x "$package" "$scratch/loader"
    done
    export LD_LIBRARY_PATH=$scratch/loader/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    say "Vulkan loader: carried along"
fi
for driver in {/usr/share,/etc,/usr/local/share,/usr/local/nvidia/share}/vulkan/icd.d/nvidia*.json; do
    if [ -z "${VK_DRIVER_FILES:-}" ] && [ -e "$driver" ]; then
        export VK_DRIVER_FILES=$driver VK_ICD_FILENAMES=$driver
        say "Vulkan driver: $driver"
    fi
done
for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
    [ -e "$folder/libGLX_nvidia.so.0" ] && ! libraries | grep -q libGLX_nvidia &&
        export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
command -v nvidia-smi >/dev/null &&
    say "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader)"
[ -e "$here/version" ] && say "wgpu-batchnorm $(tr '\n' ' ' <"$here/version")"

adapters() { "$here/bin/demo" --list --backend vulkan 2>&1; }
wanted() { if command -v nvidia-smi >/dev/null; then adapters | grep -q 'discrete GPU'; else adapters | grep -q ', vulkan, '; fi; }
if ! wanted && command -v nvidia-smi >/dev/null; then
    # The driver's other front, which asks for no part of X.
    printf '{"file_format_version":"1.0.0","ICD":{"library_path":"libEGL_nvidia.so.0","api_version":"1.3"}}' >"$scratch/icd.json"
    export VK_DRIVER_FILES=$scratch/icd.json VK_ICD_FILENAMES=$scratch/icd.json
    say "Vulkan driver: libEGL_nvidia.so.0"
fi
if ! wanted; then
    # Nothing else is measured in its place.
    say "no GPU that Vulkan reaches; there is: $(adapters)"
    for library in $(libraries | sed -n 's/.*=> \(.*lib\(GLX\|EGL\)_nvidia\.so\.0\)$/\1/p'); do
        say "$library: $(ldd "$library" | grep 'not found' || echo 'finds all it needs')"
    done
    exit 1
fi
say "$(adapters | head -1)"

# --- Stages ---

deadline=$((SECONDS + total)) failed=0
printf '| stage | outcome | seconds |\n|---|---|--:|\n' >"$scratch/stages"
stage() { # NAME LIMIT COMMAND...: {budget} in the command becomes the seconds that it may plan with
    local name=$1 limit=$2 left=$((deadline - SECONDS)) start=$SECONDS code outcome
    shift 2
    [ -z "$chosen" ] || [[ $chosen == *,$name,* ]] || return 0
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$limit" -lt 10 ]; then
        echo "| $name | no time left | 0 |" >>"$scratch/stages"
        failed=1
        return 0
    fi
    say "" && say "== $name (at most $limit s)"
    timeout --kill-after 5 "$limit" "${@//\{budget\}/$((limit * 4 / 5))}" >"$scratch/output" 2>&1
    code=$?
    cat "$scratch/output" >>"$log"
    case $code in
    0) outcome=done ;;
    124 | 137) outcome="cut off" ;;
    *) outcome="failed ($code)" ;;
    esac
    [ "$code" = 0 ] || { failed=1 && tail -15 "$scratch/output"; }
    say "== $name: $outcome after $((SECONDS - start)) s"
    echo "| $name | $outcome | $((SECONDS - start)) |" >>"$scratch/stages"
    cp "$scratch/output" "$scratch/$name"
}

bench() { # NAME LIMIT
    stage "$1" "$2" "$here/bin/$1" --backend vulkan --budget '{budget}' --json "$out/$1.json" "${quick[@]}"
}

python=${PYTHON:-python3}
pytorch() { # NAME SYSTEMS LIMIT
    stage "$1" "$3" "$python" "$here/torch_batch_norm.py" --systems "$2" --budget '{budget}' \
        --seconds 0.6 --json "$out/$1.json" "${quick[@]}"
}

export WGPU_BATCHNORM_REQUIRE=vulkan
# Nearly every random layer has kernels of its own to be compiled.
export PROPTEST_CASES=${PROPTEST_CASES:-40}
tests=vulkan/
[ ${#quick[@]} = 0 ] || tests=vulkan/default/training::
stage tests 130 "$here/bin/gpu" "$tests"
bench copy 40
bench shapes 100
bench plan_sweep 100
if "$python" -c 'import torch' 2>/dev/null; then
    pytorch pytorch eager 100
else
    say "no PyTorch: its stages are left out"
fi
stage tail 40 "$here/bin/tail" --backend vulkan --budget '{budget}' "${quick[@]}"
stage host_cost 20 "$here/bin/host_cost" --backend vulkan --json "$out/host_cost.json"
if [ ${#quick[@]} = 0 ]; then
    stage demo 50 "$here/bin/demo" --backend vulkan
fi
# Compiling takes most of it, so it has what is left.
if "$python" -c 'import torch' 2>/dev/null; then
    pytorch pytorch_compile compile 400
fi

# --- Summary ---

part() { # NAME PATTERN: the lines of a stage from the first that matches
    [ -e "$scratch/$1" ] && { echo; echo "### $1"; echo; sed -n "/$2/,\$p" "$scratch/$1" | head -40; }
}
{
    cat "$scratch/stages"
    part tests '^test result'
    [ -e "$scratch/copy" ] && printf '\n### copy\n\n' &&
        grep -E '^\| (copy|driver|best)|\* |dispatches|of one workgroup' "$scratch/copy"
    part shapes '^| operation'
    part plan_sweep '^The choice'
    part tail '^training: '
    part host_cost '^| operation'
    part demo ' rows in '
    for peer in pytorch pytorch_compile; do
        [ -e "$out/shapes.json" ] && [ -e "$out/$peer.json" ] && {
            echo
            "$here/bin/compare" --brief "$out/shapes.json" "$out/$peer.json" 2>&1 | cut -c 1-1000
        }
    done
} >"$summary"
# Answers have a size.
for file in "$log" "$summary"; do
    [ "$(wc -c <"$file")" -le 15000000 ] || { tail -c 15000000 "$file" >"$scratch/cut" && cp "$scratch/cut" "$file"; }
done
echo
cat "$summary"
echo
echo "files: $(cd "$out" && echo *)"
exit "$failed"
