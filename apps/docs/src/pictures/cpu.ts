// Pictures of two cores of an EPYC: our backend in its modes, beside llama.cpp.
import { type BenchReport, load } from '../results.ts';
import { dayOf, type Picture, type Point } from './picture.ts';

const CPU = 'epyc-2-cores-targets.json';

export const cpu = (): readonly Picture[] => [write(), read(), scan()];

const cpuMachine = ({ machine }: BenchReport): string => `${machine.cpu}, ${machine.cores} cores of a virtual machine`;

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

function write(): Picture {
  const report = load<BenchReport>(CPU);
  return {
    ...onCpu(report),
    id: 'cpu-write',
    title: 'Writing, mamba-130m, two threads',
    series: ['float32', 'float16', 'q8'].map((name) => ({ name, points: ratesOnCpu(report, 'decode-64', 2, name) })),
  };
}

function read(): Picture {
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

function scan(): Picture {
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
