// Pictures of Mamba beside other kinds of blocks, and of whole models that write.
import { find, load, type VersusReport } from '../results.ts';
import { dayOf, gpuOf, type Picture } from './picture.ts';

const VERSUS = 'versus-h100.json';
const VERSUS_CPU = 'versus-cpu.json';

export const versus = (): readonly Picture[] => [
  ...besideOthers('versus', VERSUS),
  generation(),
  ...besideOthers('versus-cpu', VERSUS_CPU),
];

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
