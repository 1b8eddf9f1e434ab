import { join } from 'node:path';
import { builtFile } from '../built.ts';
import type { Peer } from './contract.ts';
import { statesOf } from './onnx/blocks/mamba.ts';
import type { driveOnnx, OnnxModel, OnnxRuntime, StateShapes } from './onnx/drive.ts';
import { howOnnx, RECURRENCE, withModelFile } from './onnxruntime.ts';
import { serveFiles } from './server.ts';

type WebRuntime = OnnxRuntime & { readonly env: { readonly wasm: { numThreads: number; wasmPaths: string } } };
type OnnxPage = typeof globalThis & { ort: WebRuntime; driveOnnx: typeof driveOnnx; model?: OnnxModel };

const PAGE = `<!doctype html><title>onnxruntime-web</title><script type="module">
  import * as ort from './ort.wasm.min.mjs';
  import { driveOnnx } from './drive.js';
  Object.assign(globalThis, { ort, driveOnnx });
</script>`;
const FILES = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];

export const onnxRuntimeWeb: Peer = {
  name: 'onnxruntime-web',
  description: 'ONNX Runtime in WebAssembly, onnxruntime-web 1.30.0 in headless Chromium 147',
  packages: { 'onnxruntime-web': '1.30.0' },
  formats: ['F32'],
  async open(task) {
    const { folder, config, threads, prompt, decode } = task;
    const dist = join(folder, 'node_modules', 'onnxruntime-web', 'dist');
    const drive = builtFile('peers', 'onnx', 'drive.js');
    const { launchChromium } = await import('@mamba/software-gpu');
    // The run handles Ctrl-C.
    const browser = await launchChromium([], { signals: false });
    try {
      const page = await browser.newPage();
      await withModelFile(task, async (file) => {
        const server = await serveFiles({
          '/': { text: PAGE },
          '/drive.js': drive,
          '/model.onnx': file,
          ...Object.fromEntries(FILES.map((name) => [`/${name}`, join(dist, name)])),
        });
        try {
          await page.goto(server.url);
          await page.evaluate(loadInPage, {
            threads,
            ...statesOf(config, RECURRENCE),
          });
        } finally {
          await server.close();
        }
      });
      return {
        how: `${howOnnx(threads)}, times by the wall`,
        async logProbs(length) {
          const ids = prompt.slice(0, length);
          const values = await page.evaluate(
            async (tokens) => Array.from(await (globalThis as OnnxPage).model!.logProbs(tokens)),
            ids,
          );
          return new Map(values.entries());
        },
        prefill: () => page.evaluate((ids) => (globalThis as OnnxPage).model!.prefill(ids), prompt as number[]),
        decode: () =>
          page.evaluate(({ first, count }) => (globalThis as OnnxPage).model!.decode(first, count), {
            first: prompt[0]!,
            count: decode,
          }),
        close: () => browser.close(),
      };
    } catch (error) {
      await browser.close();
      throw error;
    }
  },
};

/** Runs in the page. */
async function loadInPage(options: { threads: number; layers: number; shapes: StateShapes }): Promise<void> {
  const page = globalThis as OnnxPage;
  page.ort.env.wasm.numThreads = options.threads;
  page.ort.env.wasm.wasmPaths = '/';
  const bytes = new Uint8Array(await (await fetch('/model.onnx')).arrayBuffer());
  const session = await page.ort.InferenceSession.create(bytes, {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  });
  page.model = page.driveOnnx(page.ort, session, options);
}
