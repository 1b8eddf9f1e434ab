// The measured figures that the site and the README quote, taken from the files of results and from nowhere else.
import { type AttentionReport, type BenchReport, find, type KernelReport, type KernelRow, load } from './results.ts';

export interface Speed {
  readonly machine: string;
  readonly backend: string;
  readonly model: string;
  readonly weights: string;
  readonly work: string;
  readonly tokensPerSecond: number;
  /** The file of results that the figure stands in. */
  readonly file: string;
}

export interface Fact {
  readonly what: string;
  readonly figure: string;
  readonly machine: string;
  readonly files: readonly string[];
}

const MODELS = 'h100-models.json';
const PREFILL = 'h100-prefill-float16.json';
const SCAN = 'h100-scan-attention.json';
const FLASH = 'h100-pytorch-attention.json';
const CPU = 'epyc-2-cores-targets.json';

const H100 = 'NVIDIA H100 80 GB';
const EPYC = 'AMD EPYC, 2 cores of a virtual machine';

const decode = (model: string): number => {
  const name = `decode ${model} float16`;
  return find(load<KernelReport>(MODELS).rows, MODELS, name, (row) => row.name === name)['tokens/s']!;
};

const prefill = (batch: number): number => {
  const name = 'prefill mamba-130m float16';
  const meets = (row: KernelRow): boolean =>
    row.name === name && row.batch === batch && row.length === 2048 && row.matrixPrecision === 'float16';
  return find(load<KernelReport>(PREFILL).rows, PREFILL, name, meets)['tokens/s']!;
};

const onCpu = (work: string, backend: string, dtype = 'float32'): number => {
  const meets = (entry: BenchReport['results'][number]): boolean =>
    entry.case === `peers/${work}-layers-24` && entry.backend === backend && entry.dtype === dtype;
  return find(load<BenchReport>(CPU).results, CPU, `${work} of ${backend}`, meets).rate.perSecond;
};

/** Flash attention's time over the scan's, at one length. */
function flashOverScan(length: number): number {
  const scan = find(
    load<KernelReport>(SCAN).rows,
    SCAN,
    'scan',
    (row) => row.name === 'scan rule' && row.length === length,
  );
  const flash = find(
    load<AttentionReport>(FLASH).rows,
    FLASH,
    'attention',
    (row) => row.length === length && row.dtype === 'torch.float16',
  );
  return flash.microseconds / scan.microseconds;
}

/** The modes of the cpu backend, as the results name them and as a reader knows them. */
const MODES = [
  ['cpu-plain', 'cpu, 2 threads, Node 20'],
  ['cpu-relaxed', 'cpu, 2 threads, Node 24'],
  ['cpu-revectorized', 'cpu with revectorize, 2 threads, Node 24'],
  ['cpu-chromium', 'cpu, 2 threads, Chromium 147'],
] as const;
const DECODE = 'write';
const READ = 'read a prompt';

/** Returns tokens a second by machine and backend, for whoever chooses hardware. */
export function speeds(): readonly Speed[] {
  const gpu = { machine: H100, backend: 'webgpu, Node 24', weights: 'float16' };
  const cpu = { machine: EPYC, model: 'mamba-130m', file: CPU };
  return [
    ...['mamba-130m', 'mamba-370m', 'mamba-1.4b', 'mamba-2.8b'].map((model) => ({
      ...gpu,
      model,
      work: DECODE,
      tokensPerSecond: decode(model),
      file: MODELS,
    })),
    ...[1, 8].map((batch) => ({
      ...gpu,
      backend: 'webgpu on matrix units, Node 24',
      model: 'mamba-130m',
      work: `${READ}, ${batch} × 2,048`,
      tokensPerSecond: prefill(batch),
      file: PREFILL,
    })),
    ...MODES.flatMap(([name, backend]) => [
      ...['float32', 'float16', 'q8'].map((weights) => ({
        ...cpu,
        backend,
        weights,
        work: DECODE,
        tokensPerSecond: onCpu('decode-64', `${name}@2`, weights),
      })),
      {
        ...cpu,
        backend,
        weights: 'float32',
        work: `${READ}, 512`,
        tokensPerSecond: onCpu('prefill-512', `${name}@2`),
      },
    ]),
  ];
}

const LONG = 32_768;

/** Returns the facts of the first screen. */
export function facts(): readonly Fact[] {
  const overLlama = MODES.map(([name]) => onCpu('prefill-512', `${name}@2`) / onCpu('prefill-512', 'llama.cpp@2'));
  return [
    {
      what: 'mamba-130m writes, in float16',
      figure: `${Math.round(decode('mamba-130m')).toLocaleString('en')} tokens a second`,
      machine: H100,
      files: [MODELS],
    },
    {
      what: 'mamba-130m reads 16 prompts of 2,048 tokens, in float16 on matrix units',
      figure: `${(Math.round(prefill(16) / 1000) * 1000).toLocaleString('en')} tokens a second`,
      machine: H100,
      files: [PREFILL],
    },
    {
      what:
        `The scan over ${LONG.toLocaleString('en')} tokens in float32, 1,024 channels, ` +
        "beside PyTorch's flash attention in float16",
      figure: `${flashOverScan(LONG).toFixed(1)} times as fast`,
      machine: H100,
      files: [SCAN, FLASH],
    },
    {
      what: 'mamba-130m reads a prompt, beside llama.cpp',
      figure: `${Math.min(...overLlama).toFixed(1)} to ${Math.max(...overLlama).toFixed(1)} times as fast`,
      machine: EPYC,
      files: [CPU],
    },
  ];
}
