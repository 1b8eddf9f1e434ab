/** `mamba-bench kernels`: times single kernels of a backend, by the clock that suits it. */
import type { DType } from '@mamba/core';
import { type Command, Option } from 'commander';
import { CPU_SECTIONS, type CpuSection, measureCpu } from '../kernels/cpu/sections.ts';
import { measureWebGpu } from '../kernels/webgpu/sections.ts';
import {
  type ForcedBackwardLayout,
  type ForcedLayout,
  type ForcedTiles,
  KERNEL_MODELS,
  type ModelName,
  PRECISIONS,
  type ProductExtents,
  type ScanExtents,
  WEBGPU_SECTIONS,
  type WebGpuKernelOptions,
  type WebGpuSection,
} from '../kernels/webgpu/session.ts';
import { chooseNamed } from '../machine/backends.ts';
import { MODES, type Mode } from '../machine/modes.ts';
import { styleFor } from '../report/style.ts';
import { checkWritable, writeWhole } from '../schema/write.ts';
import { parsePositive, splitCounts, splitList, splitNames, splitParsed } from './arguments.ts';
import type { Terminal } from './terminal.ts';

const BACKENDS = ['cpu', 'webgpu'] as const;

interface KernelsFlags {
  readonly backend: (typeof BACKENDS)[number];
  readonly section?: readonly string[];
  readonly json?: string;
  readonly quick?: true;
  readonly mode?: readonly Mode[];
  readonly threads?: readonly number[];
  readonly seconds: number;
  readonly unchecked?: true;
  readonly inARow?: true;
  readonly precision?: WebGpuKernelOptions['precisions'];
  readonly shape?: readonly ScanExtents[];
  readonly layout?: readonly ForcedLayout[];
  readonly backwardLayout?: readonly ForcedBackwardLayout[];
  readonly product?: readonly ProductExtents[];
  readonly tiles?: readonly ForcedTiles[];
  readonly model?: readonly ModelName[];
  readonly dtype?: readonly DType[];
}

/** Adds `kernels` to the program; `finish` gets its exit status. */
export function addKernelsCommand(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('kernels')
    .description('time single kernels, by processor time on cpu and by the timestamps of the device on webgpu')
    .addOption(new Option('--backend <name>', 'whose kernels').choices(BACKENDS).default('cpu'))
    .option(
      '--section <name...>',
      `of cpu: ${CPU_SECTIONS.join(', ')} (default: kernels); of webgpu: ${WEBGPU_SECTIONS.join(', ')} ` +
        '(default: all but matrix-units)',
      splitList,
    )
    .option('--json <file>', 'write the figures as JSON')
    .option('--quick', 'small shapes, as a check of the program: the figures mean nothing')
    .option('--mode <name...>', `of cpu: ${MODES.join(', ')}`, splitNames(MODES, 'mode'))
    .option('--threads <n>', 'of the section length: 1, timed in processor time, or more, by the clock', splitCounts)
    .option('--seconds <n>', 'of cpu: how long the kernels of each mode are measured', parsePositive, 20)
    .option('--precision <name...>', `of webgpu: ${PRECISIONS.join(', ')}`, splitNames(PRECISIONS, 'precision'))
    .option('--unchecked', 'of webgpu: with the toggles of Dawn that remove checks')
    .option(
      '--shape <BxDxL...>',
      'of scan and scan-backward: batch, channels and length: 1x512x2048',
      splitParsed(shapeOf, '1x512x2048'),
    )
    .option(
      '--layout <l:c:s:k:n...>',
      'of scan: also forced layouts; lanes, channels, slices, steps, chunk length: 2:64:1:8:256, or 0 for no chunks',
      splitParsed(layoutOf, '2:64:1:8:256'),
    )
    .option(
      '--backward-layout <l:p:c:s:m:r:k:d:n...>',
      'of scan-backward: also forced layouts; lanes, channels a lane, channels, steps, steps summed at once, ' +
        "rounds of shuffles, 1 where decays are kept, channels of the states' dispatch, chunk length: " +
        '4:1:64:16:16:3:0:16:512, or 0 for no chunks',
      splitParsed(backwardLayoutOf, '4:1:64:16:16:3:0:16:512'),
    )
    .option(
      '--product <RxIxO...>',
      'of linear: rows, inputs and outputs: 64x768x50280',
      splitParsed(shapeOf, '64x768x50280'),
    )
    .option(
      '--tiles <e:n...>',
      "of linear: also forced tiles of many rows; a tile's rows and outputs, 64 or 128, and parts of the inputs: 64:2",
      splitParsed(tilesOf, '64:2'),
    )
    .option(
      '--in-a-row',
      'of scan and scan-backward: by the clock over many calls in a row, without a pass for each dispatch',
    )
    .option(
      '--model <size...>',
      `of models, prefills and batches: ${KERNEL_MODELS.join(', ')}`,
      splitNames(KERNEL_MODELS, 'model'),
    )
    .option(
      '--dtype <type...>',
      `weights of linear, models and batches: ${DTYPES.join(', ')}`,
      splitNames(DTYPES, 'dtype'),
    )
    .action(async (flags: KernelsFlags) => finish(await kernelsCommand(flags, terminal)));
}

const DTYPES: readonly DType[] = ['float32', 'float16', 'bfloat16', 'q8', 'q4'];

/** Three sizes: of a scan, or of a product. */
function shapeOf(text: string): ScanExtents | ProductExtents | undefined {
  const [, first, second, third] = /^(\d+)x(\d+)x(\d+)$/.exec(text) ?? [];
  return first === undefined ? undefined : [Number(first), Number(second), Number(third)];
}

function layoutOf(text: string): ForcedLayout | undefined {
  const [, lanes, channels, slices, steps, chunkLength] = /^([124]):(\d+):(\d+):(\d+):(\d+)$/.exec(text) ?? [];
  if (lanes === undefined) return undefined;
  const euler = {
    lanes: Number(lanes) as 1 | 2 | 4,
    channels: Number(channels),
    slices: Number(slices),
    steps: Number(steps),
  };
  return { text, euler, chunkLength: Number(chunkLength) };
}

function tilesOf(text: string): ForcedTiles | undefined {
  const [, extent, splits] = /^(64|128):([1-9]\d*)$/.exec(text) ?? [];
  if (extent === undefined) return undefined;
  return { text, variant: { extent: Number(extent) as 64 | 128, splits: Number(splits) } };
}

function backwardLayoutOf(text: string): ForcedBackwardLayout | undefined {
  const numbers = /^([124]):(\d+):(\d+):(\d+):(\d+):(\d+):([01]):(\d+):(\d+)$/.exec(text)?.slice(1).map(Number);
  if (numbers === undefined) return undefined;
  const [perLane, channels, steps, summed, rounds, keep, stateChannels, chunkLength] = numbers.slice(1) as EightNumbers;
  const sizes = { lanes: numbers[0] as 1 | 2 | 4, perLane, channels, steps, summed, rounds, stateChannels };
  return { text, euler: { ...sizes, keep: keep === 1 }, chunkLength };
}

type EightNumbers = [number, number, number, number, number, number, number, number];

/** @throws MambaError on the names of sections that the backend does not have. */
async function kernelsCommand(flags: KernelsFlags, { stdout, stderr, environment }: Terminal): Promise<number> {
  const { backend, json } = flags;
  checkWritable(json);
  const print = (line: string): void => void stdout.write(`${line}\n`);
  const write = (report: object): void => {
    if (json !== undefined)
      writeWhole(`${JSON.stringify({ kind: 'mamba-kernels', backend, ...report }, null, 1)}\n`, json);
  };
  const { report, problems } = await (backend === 'cpu'
    ? cpuKernels(flags, print)
    : webgpuKernels(flags, print, write));
  const style = styleFor(stderr, environment);
  for (const problem of problems) stderr.write(`${style.red('mamba-bench:')} ${problem}\n`);
  write(report);
  return problems.length > 0 ? 1 : 0;
}

interface Outcome {
  readonly report: object;
  readonly problems: readonly string[];
}

async function cpuKernels(flags: KernelsFlags, print: (line: string) => void): Promise<Outcome> {
  const report = await measureCpu(
    {
      sections: sectionsOf<CpuSection>(CPU_SECTIONS, flags),
      modes: flags.mode ?? [],
      threads: flags.threads?.[0] ?? 1,
      seconds: flags.seconds,
      quick: flags.quick === true,
    },
    print,
  );
  const above = report['load-memory']?.filter(({ within }) => !within) ?? [];
  return {
    report: { date: new Date().toISOString(), ...report },
    problems: above.map(({ file, dtype }) => `loading ${file} as ${dtype} takes more memory than its limit`),
  };
}

async function webgpuKernels(
  flags: KernelsFlags,
  print: (line: string) => void,
  keep: (report: object) => void,
): Promise<Outcome> {
  const report = await measureWebGpu(
    {
      sections: sectionsOf<WebGpuSection>(WEBGPU_SECTIONS, flags),
      quick: flags.quick === true,
      unchecked: flags.unchecked === true,
      precisions: flags.precision ?? PRECISIONS,
      shapes: flags.shape ?? [],
      layouts: flags.layout ?? [],
      backwardLayouts: flags.backwardLayout ?? [],
      products: flags.product ?? [],
      tiles: flags.tiles ?? [],
      inARow: flags.inARow === true,
      models: flags.model ?? [],
      dtypes: flags.dtype ?? [],
    },
    print,
    keep,
  );
  return { report, problems: report.failed.map(({ section, error }) => `${section} failed: ${error}`) };
}

function sectionsOf<Section extends string>(
  all: readonly Section[],
  { section, backend }: KernelsFlags,
): readonly Section[] {
  if (section === undefined) return [];
  const named = all.map((name) => ({ name }));
  return chooseNamed(named, section, `section of ${backend}`).map(({ name }) => name);
}
