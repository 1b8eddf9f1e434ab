// Pictures of trainings: how the loss falls, and what a test finds meanwhile.
import { type LearningReport, load } from '../results.ts';
import { dayOf, type Picture } from './picture.ts';

const FILE = 'learning-cpu.json';

export const training = (): readonly Picture[] => {
  const { date, machine, runs } = load<LearningReport>(FILE);
  const common = {
    kind: 'lines',
    x: 'steps',
    logarithmic: false,
    machine: `${machine.cpu}, ${machine.cores} cores of a virtual machine`,
    date: dayOf(date),
    files: [FILE],
  } as const;
  return [
    {
      ...common,
      id: 'training-loss',
      title: 'Selective copying: the loss while it learns, a mean since the point before',
      unit: 'nats an answer',
      better: 'less',
      series: runs.map(({ name, losses }) => ({
        name,
        points: losses.map(({ step, loss }) => ({ x: step, y: loss })),
      })),
    },
    {
      ...common,
      id: 'training-right',
      title: 'Selective copying: right answers to fresh sequences',
      unit: 'percent',
      better: 'more',
      series: runs.map(({ name, tests }) => ({
        name,
        points: tests.map(({ step, accuracy: [first] }) => ({ x: step, y: (100 * first!.right) / first!.answers })),
      })),
    },
  ];
};
