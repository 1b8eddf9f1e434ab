// A real browser for tests: pages are built by Vite and opened in the headless Chromium of @sparticuz/chromium, on SwiftShader.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { unpacked } from './swiftshader.ts';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-angle=swiftshader',
  '--ignore-gpu-blocklist',
  // See src/gpu/platform-node.ts: SwiftShader takes seconds a kernel otherwise.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface TestBrowser {
  /** Opens a page of the build; what it throws fails `failures`. */
  open(path: string): Promise<{ readonly page: Page; readonly failures: readonly string[] }>;
  close(): Promise<void>;
}

/** Builds the pages in `root` (an HTML file each) and serves them, with the conformance suite's fixtures at /. */
export async function openBrowser(root: URL, pages: readonly string[]): Promise<TestBrowser> {
  const outDir = mkdtempSync(join(tmpdir(), 'mamba-browser-'));
  const folder = fileURLToPath(root);
  const common = {
    root: folder,
    configFile: false,
    logLevel: 'error',
    appType: 'mpa',
    publicDir: fileURLToPath(new URL('../../conformance/fixtures', import.meta.url)),
  } as const;
  let server: PreviewServer | undefined;
  let browser: Browser | undefined;
  const close = async (): Promise<void> => {
    await browser?.close();
    await server?.close();
    rmSync(outDir, { recursive: true, force: true });
  };
  try {
    await build({
      ...common,
      build: { outDir, target: 'esnext', rollupOptions: { input: pages.map((page) => join(folder, page)) } },
    });
    server = await preview({ ...common, build: { outDir }, preview: { port: 0, host: '127.0.0.1' } });
    const address = server.resolvedUrls!.local[0]!;
    // Chromium looks for SwiftShader beside itself.
    const folderOfChromium = unpacked('chromium', ['chromium.br', 'swiftshader.tar.br', 'al2023.tar.br']);
    browser = await chromium.launch({
      executablePath: join(folderOfChromium, 'chromium'),
      args: FLAGS,
      env: { ...process.env, LD_LIBRARY_PATH: join(folderOfChromium, 'lib') },
    });
    const opened = browser;
    return {
      async open(path) {
        const page = await opened.newPage();
        const failures: string[] = [];
        page.on('pageerror', (error) => failures.push(String(error)));
        await page.goto(new URL(path, address).href);
        return { page, failures };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
