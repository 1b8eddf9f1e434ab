import type { LimitAnswer, Platform } from './platform.ts';

/** The facts that newer browsers give beside `userAgent`. */
interface UserAgentData {
  readonly brands: readonly { readonly brand: string; readonly version: string }[];
  readonly platform: string;
}

/** Browsers delay timers, but not the messages of a channel. */
const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

export const platform: Platform = {
  tick: () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      channel.port2.postMessage(undefined);
    }),
  collectGarbage() {},
  residentBytes: () => 0,
  availableMemory: () => platform.machineFacts().memory / 2,
  machineFacts() {
    const { hardwareConcurrency, userAgent } = navigator;
    const { deviceMemory, userAgentData } = navigator as { deviceMemory?: number; userAgentData?: UserAgentData };
    const os = userAgentData?.platform || /\(([^;)]+)/.exec(userAgent)?.[1] || 'unknown';
    return {
      cpu: `${os} browser, processor not told`,
      cores: Math.max(hardwareConcurrency, 1),
      // Browsers round the memory, to 8 GiB at most.
      memory: (deviceMemory ?? 8) * 2 ** 30,
      load: 0,
      os,
      arch: 'browser',
      engine: engineOf(userAgent, userAgentData),
    };
  },
  revectorize() {
    throw new Error('a browser takes no flags of V8 from a page');
  },
  small: 'mambaBenchSmall' in globalThis,
  startLimitWorker() {
    const worker = new Worker(new URL('./limit-worker-browser.ts', import.meta.url), { type: 'module' });
    return {
      ask: (request) =>
        new Promise<LimitAnswer>((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data as LimitAnswer);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(request);
        }),
      async stop() {
        worker.terminate();
      },
    };
  },
};

function engineOf(userAgent: string, data: UserAgentData | undefined): { name: string; version: string } {
  const brand = data?.brands.find(({ brand }) => !/not.?a.?brand/i.test(brand));
  if (brand !== undefined) return { name: brand.brand, version: brand.version };
  const [, name = 'browser', version = '0'] = /(Firefox|Chrome|HeadlessChrome|Version)\/([\d.]+)/.exec(userAgent) ?? [];
  return { name: name === 'Version' ? 'Safari' : name, version };
}
