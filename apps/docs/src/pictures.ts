// The pictures of measurements, each taken from files of results with its machine and date.
import {
  type AttentionReport,
  type BenchReport,
  find,
  type KernelReport,
  type KernelRow,
  load,
  type VersusReport,
} from './results.ts';

export interface Point {
  /** A name for bars, a number for lines. */
  readonly x: string | number;
  readonly y: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Picture {
  readonly id: string;
  readonly title: string;
  /** Bars have names below each other; lines have a logarithmic axis of `x`. */
  readonly kind: 'bars' | 'lines';
  /** What the rows of the table are, and the axis of lines. */
  readonly x: string;
  readonly unit: string;
  /** Whether the axis of `y` is logarithmic. Bars, and lines that are to be flat, begin at zero. */
  readonly logarithmic: boolean;
  readonly better: 'more' | 'less';
  readonly series: readonly Series[];
  readonly machine: string;
  readonly date: string;
  readonly files: readonly string[];
}

/** Returns all pictures. */
export const pictures = (): readonly Picture[] => [
  write(),
  batches(),
  read(),
  scanBesideAttention(),
  products(),
  writeOnCpu(),
  readOnCpu(),
  scanOnCpu(),
  ...besideOthers('versus', VERSUS),
  generation(),
  ...besideOthers('versus-cpu', VERSUS_CPU),
];

const dayOf = (time: string): string => time.slice(0, 10);
/** The name of a GPU, as its driver writes it in small letters. */
const gpuOf = (device: string): string => device.replaceAll('-', ' ').toUpperCase();
const kernelMachine = ({ device, node }: KernelReport): string => `${gpuOf(device.device)}, Node ${node.slice(1)}`;
const cpuMachine = ({ machine }: BenchReport): string => `${machine.cpu}, ${machine.cores} cores of a virtual machine`;

const MODELS = 'h100-models.json';
const BATCHES = 'h100-batches.json';
const PREFILL = 'h100-prefill-float16.json';
const SCAN = 'h100-scan-attention.json';
const FLASH = 'h100-pytorch-attention.json';
const CPU = 'epyc-2-cores-targets.json';
const VERSUS = 'versus-h100.json';
const VERSUS_CPU = 'versus-cpu.json';
const LINEAR = 'h100-linear.json';

function write(): Picture {
  const report = load<KernelReport>(MODELS);
  const points = ['mamba-130m', 'mamba-370m', 'mamba-1.4b', 'mamba-2.8b'].map((model) => {
    const name = `decode ${model} float16`;
    return { x: model, y: find(report.rows, MODELS, name, (row) => row.name === name)['tokens/s']! };
  });
  return {
    id: 'h100-write',
    title: 'Writing, one sequence, weights in float16',
    kind: 'bars',
    x: 'model',
    unit: 'tokens a second',
    logarithmic: false,
    better: 'more',
    series: [{ name: 'WebGPU', points }],
    machine: kernelMachine(report),
    date: dayOf(report.date),
    files: [MODELS],
  };
}

function batches(): Picture {
  const report = load<KernelReport>(BATCHES);
  const precisions = { float32: 'float32', 'matrix units, halves': 'float16', 'matrix units, pairs': 'float16x2' };
  return {
    id: 'h100-batches',
    title: 'Writing many sequences at once, mamba-130m in float16',
    kind: 'lines',
    x: 'sequences',
    unit: 'tokens a second',
    logarithmic: true,
    better: 'more',
    series: Object.entries(precisions).map(([name, precision]) => ({
      name,
      points: report.rows
        .filter((row) => row.name === `decode mamba-130m float16 ${precision}`)
        .map(({ batch, 'tokens/s': rate }) => ({ x: batch!, y: rate! })),
    })),
    machine: kernelMachine(report),
    date: dayOf(report.date),
    files: [BATCHES],
  };
}

function read(): Picture {
  const report = load<KernelReport>(PREFILL);
  const rows = report.rows.filter(({ name }) => /^prefill mamba-\w+ float16$/.test(name));
  const points = rows.map((row) => ({
    x: `${row.name.split(' ')[1]}, ${row.batch} × ${row.length!.toLocaleString('en')}`,
    y: row['tokens/s']!,
  }));
  return {
    id: 'h100-read',
    title: 'Reading prompts on matrix units',
    kind: 'bars',
    x: 'model, sequences × tokens',
    unit: 'tokens a second',
    logarithmic: false,
    better: 'more',
    series: [{ name: 'WebGPU', points }],
    machine: kernelMachine(report),
    date: dayOf(report.date),
    files: [PREFILL],
  };
}

function scanBesideAttention(): Picture {
  const report = load<KernelReport>(SCAN);
  const ours = (name: string) => report.rows.filter((row) => row.name === name);
  const flash = load<AttentionReport>(FLASH).rows.filter(({ dtype }) => dtype === 'torch.float16');
  return {
    id: 'h100-scan-attention',
    title: 'The scan beside attention of the same width: 1,024 channels, 16 heads of 64',
    kind: 'lines',
    x: 'tokens',
    unit: 'milliseconds',
    logarithmic: true,
    better: 'less',
    series: [
      { name: 'our scan, float32', points: ours('scan rule').map((row) => inMs(row.length!, row.microseconds)) },
      {
        name: 'our attention, float16',
        points: ours('attention float16: forward').map((row) => inMs(row.queries!, row.microseconds)),
      },
      { name: 'PyTorch’s flash attention, float16', points: flash.map((row) => inMs(row.length, row.microseconds)) },
    ],
    machine: kernelMachine(report),
    date: dayOf(report.date),
    files: [SCAN, FLASH],
  };
}

function products(): Picture {
  const report = load<KernelReport>(LINEAR);
  const stored = ['float32', 'float16', 'q8'];
  const units = ({ matrixPrecision }: KernelRow): boolean => matrixPrecision === 'float16';
  const pointsOf = (meets: (row: KernelRow) => boolean): readonly Point[] =>
    report.rows
      .filter((row) => row['TFLOP/s'] !== undefined && meets(row))
      .map((row) => ({ x: `${row.rows} × ${row.inputs} × ${row.outputs}`, y: row['TFLOP/s']! }));
  return {
    id: 'h100-products',
    title: 'Products of matrices, by what weights are stored as',
    kind: 'bars',
    x: 'rows × inputs × outputs',
    unit: 'TFLOP a second',
    logarithmic: false,
    better: 'more',
    series: [
      ...stored.map((name) => ({ name, points: pointsOf((row) => row.name === `linear ${name}` && !units(row)) })),
      {
        name: 'float16 on matrix units',
        points: pointsOf((row) => row.name === 'linear float16' && units(row)),
      },
    ],
    machine: kernelMachine(report),
    date: dayOf(report.date),
    files: [LINEAR],
  };
}

const inMs = (x: number, microseconds: number): Point => ({ x, y: microseconds / 1000 });

/** The systems of the CPU's report, as a reader knows them. */
const ON_CPU = {
  'cpu-revectorized': 'ours, 256 bits, Node 24',
  'cpu-relaxed': 'ours, Node 24',
  'cpu-chromium': 'ours, Chromium 147',
  'cpu-plain': 'ours, Node 20',
  'llama.cpp': 'llama.cpp, native',
  wllama: 'llama.cpp in Chromium 147',
} as const;

/** The rates of a task of mamba-130m, by system; one that was not measured in this way has no point. */
function ratesOnCpu(report: BenchReport, task: string, threads: number, dtype: string): readonly Point[] {
  return Object.entries(ON_CPU).flatMap(([name, x]) => {
    const found = report.results.find(
      (result) =>
        result.case === `peers/${task}-layers-24` && result.backend === `${name}@${threads}` && result.dtype === dtype,
    );
    return found === undefined ? [] : [{ x, y: found.rate.perSecond }];
  });
}

function onCpu(report: BenchReport) {
  return {
    x: 'system',
    unit: 'tokens a second',
    kind: 'bars',
    logarithmic: false,
    better: 'more',
    machine: cpuMachine(report),
    date: dayOf(report.startedAt),
    files: [CPU],
  } as const;
}

function writeOnCpu(): Picture {
  const report = load<BenchReport>(CPU);
  return {
    ...onCpu(report),
    id: 'cpu-write',
    title: 'Writing, mamba-130m, two threads',
    series: ['float32', 'float16', 'q8'].map((name) => ({ name, points: ratesOnCpu(report, 'decode-64', 2, name) })),
  };
}

function readOnCpu(): Picture {
  const report = load<BenchReport>(CPU);
  return {
    ...onCpu(report),
    id: 'cpu-read',
    title: 'Reading a prompt of 512 tokens, mamba-130m in float32',
    series: [2, 1].map((threads) => ({
      name: `${threads} thread${threads === 1 ? '' : 's'}`,
      points: ratesOnCpu(report, 'prefill-512', threads, 'float32'),
    })),
  };
}

function scanOnCpu(): Picture {
  const report = load<BenchReport>(CPU);
  const modes = Object.entries(ON_CPU).filter(([name]) => name.startsWith('cpu-'));
  return {
    ...onCpu(report),
    id: 'cpu-scan',
    title: 'A step of the scan for one state, 512 channels of 16 states, one thread',
    kind: 'lines',
    x: 'tokens',
    unit: 'nanoseconds',
    better: 'less',
    series: modes.map(([name, label]) => ({
      name: label,
      points: report.results
        .filter((result) => result.case.startsWith('scan/length-') && result.backend === `${name}@1`)
        .filter(({ shape }) => shape.dim === 512 && shape.state === 16)
        .map(({ shape, rate }) => ({ x: shape.length, y: 1e9 / rate.perSecond })),
    })),
  };
}

const versusMachine = ({ backends, machine }: VersusReport): string => {
  const { details, description } = backends[0]!;
  return details.device === undefined ? `${machine.cpu}, ${description}` : gpuOf(details.device);
};

/** A block of each kind, of equal size, over length. */
function besideOthers(id: string, file: string): readonly Picture[] {
  const report = load<VersusReport>(file);
  const names = ['mamba', 'mamba2', 'attention', 's4d'];
  const seriesOf = (measure: string, quantityOf: (point: VersusReport['points'][number]) => number | undefined) =>
    names.map((name) => ({
      name: find(report.systems, file, name, (system) => system.name === name).label,
      points: report.points
        .filter((point) => point.system === name && point.measure === measure)
        .flatMap((point) => {
          const y = quantityOf(point);
          return y === undefined ? [] : [{ x: point.length, y }];
        }),
    }));
  const common = {
    kind: 'lines',
    x: 'tokens',
    logarithmic: true,
    better: 'less',
    machine: versusMachine(report),
    date: dayOf(report.startedAt),
    files: [file],
  } as const;
  const wide = `a block, ${report.settings.dModel} wide`;
  const milliseconds = ({ time }: VersusReport['points'][number]) => time && time.median * 1000;
  return [
    {
      ...common,
      id: `${id}-forward`,
      title: `Reading a text: ${wide}`,
      unit: 'milliseconds',
      series: seriesOf('forward', milliseconds),
    },
    {
      ...common,
      id: `${id}-step`,
      title: `One token more, after as many: ${wide}`,
      unit: 'milliseconds',
      series: seriesOf('step', milliseconds),
    },
    {
      ...common,
      id: `${id}-state`,
      title: `What it remembers: ${wide}`,
      unit: 'kilobytes',
      series: seriesOf('step', ({ memory }) => memory?.state && memory.state / 1000),
    },
  ];
}

/** Whole models that write, many sequences at once. */
function generation(): Picture {
  const report = load<VersusReport>(VERSUS);
  const nameOf = ({ label, prompt }: VersusReport['generation'][number]): string =>
    `${label}, after ${prompt.toLocaleString('en')} tokens`;
  const names = [...new Set(report.generation.map(nameOf))];
  return {
    id: 'versus-generation',
    title: 'Writing: models of about 130 million parameters, in float32',
    kind: 'lines',
    x: 'sequences',
    unit: 'tokens a second',
    logarithmic: true,
    better: 'more',
    series: names.map((name) => ({
      name,
      points: report.generation
        .filter((row) => nameOf(row) === name)
        .flatMap(({ batch, perSecond }) => (perSecond === undefined ? [] : [{ x: batch, y: perSecond }])),
    })),
    machine: versusMachine(report),
    date: dayOf(report.startedAt),
    files: [VERSUS],
  };
}
