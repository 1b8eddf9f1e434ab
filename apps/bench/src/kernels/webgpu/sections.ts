/**
 * The sections of `mamba-bench kernels --backend webgpu`: times from the device's timestamps, its limits and its fixed
 * costs. They run in this process, on Dawn. Node only.
 */
import process from 'node:process';
import { type Toggles, webgpu } from '@mamba/webgpu';
import { messageOf } from '../../errors.ts';
import { attention } from './attention.ts';
import { batches } from './batches.ts';
import { ceilings } from './ceilings.ts';
import { matrixUnits } from './matrix-units.ts';
import { models, prefills } from './models.ts';
import { conv, linear, linearBackward } from './products.ts';
import { sample } from './sample.ts';
import { scan, slope } from './scan.ts';
import { scanBackward } from './scan-backward.ts';
import {
  type KernelRow,
  type Session,
  togglesOf,
  WEBGPU_SECTIONS,
  type WebGpuKernelOptions,
  type WebGpuSection,
} from './session.ts';
import { small } from './small.ts';
import { ssdScan } from './ssd-scan.ts';
import { training } from './training.ts';
import { transformer } from './transformer.ts';

export interface WebGpuKernels {
  readonly date: string;
  readonly node: string;
  readonly toggles: Toggles;
  readonly device: Readonly<Record<string, unknown>>;
  readonly rows: readonly KernelRow[];
  readonly failed: readonly { readonly section: string; readonly error: string }[];
}

const SECTIONS: Readonly<Record<WebGpuSection, (session: Session) => Promise<void>>> = {
  ceilings,
  scan,
  'scan-backward': scanBackward,
  slope,
  linear,
  'linear-backward': linearBackward,
  conv,
  attention,
  'ssd-scan': ssdScan,
  small,
  sample,
  models,
  prefills,
  batches,
  transformer,
  training,
  'matrix-units': matrixUnits,
};

/**
 * Gives all rows and failures. With each row, `keep` gets the report as far as it has come, so that a run that is
 * stopped leaves what it has, and then `print` a line. A section that fails leaves the others to go on.
 * @throws MambaError where no device is found
 */
export async function measureWebGpu(
  options: WebGpuKernelOptions,
  print: (line: string) => void,
  keep: (report: WebGpuKernels) => void,
): Promise<WebGpuKernels> {
  const toggles = togglesOf(options);
  const backend = await webgpu({ toggles }).create();
  const device = { ...backend.details };
  await backend.dispose();
  const rows: KernelRow[] = [];
  const failed: { section: string; error: string }[] = [];
  const report = { date: new Date().toISOString(), node: process.version, toggles, device, rows, failed };
  const session: Session = {
    ...options,
    toggles,
    report(row) {
      rows.push(row);
      keep(report);
      print(lineOf(row));
    },
    fail: (section, error) => void failed.push({ section, error: messageOf(error) }),
  };
  // The matrix units' section checks results and takes minutes: it runs where it is asked for.
  const timed = WEBGPU_SECTIONS.filter((name) => name !== 'matrix-units');
  for (const name of options.sections.length > 0 ? options.sections : timed) {
    try {
      await SECTIONS[name](session);
    } catch (error) {
      session.fail(name, error);
    }
  }
  return report;
}

function lineOf({ name, microseconds, ...figures }: KernelRow): string {
  const time = microseconds === undefined ? '' : `${microseconds.toFixed(1)} µs`;
  const rest = Object.entries(figures)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`);
  return `${name.padEnd(34)} ${time.padStart(12)}  ${rest.join('  ')}`.trimEnd();
}
