import type { GenerateOptions } from './writing.ts';

/** The contents of the form: the fields as they are written, empty where an option is left out. */
export type SamplingFields = Readonly<Record<(typeof FIELDS)[number]['name'], string>>;

export const FIELDS = [
  {
    name: 'maxTokens',
    label: 'Tokens',
    hint: 'at most',
    min: 1,
    max: 100_000,
    step: 1,
    initial: '120',
    required: true,
  },
  {
    name: 'temperature',
    label: 'Temperature',
    hint: '0: the likeliest',
    min: 0,
    max: 10,
    step: 0.05,
    initial: '0.8',
    required: true,
  },
  {
    name: 'topK',
    label: 'Top k',
    hint: 'likeliest tokens',
    min: 1,
    max: 1_000_000,
    step: 1,
    initial: '',
    required: false,
  },
  {
    name: 'topP',
    label: 'Top p',
    hint: 'probability kept',
    min: 0,
    max: 1,
    step: 0.01,
    initial: '0.95',
    required: false,
  },
  { name: 'minP', label: 'Min p', hint: 'of the likeliest', min: 0, max: 1, step: 0.01, initial: '', required: false },
  {
    name: 'repetitionPenalty',
    label: 'Repetition',
    hint: '1: no penalty',
    min: 0.01,
    max: 10,
    step: 0.01,
    initial: '',
    required: false,
  },
  {
    name: 'seed',
    label: 'Seed',
    hint: 'to repeat it',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    step: 1,
    initial: '',
    required: false,
  },
] as const;

/** Options that have no effect at temperature 0, where nothing is filtered or drawn. */
export const WITH_TEMPERATURE: readonly string[] = ['topK', 'topP', 'minP', 'seed'];

export const INITIAL_SAMPLING = Object.fromEntries(
  FIELDS.map(({ name, initial }) => [name, initial]),
) as SamplingFields;

export function samplingOptions(fields: SamplingFields): GenerateOptions {
  const greedy = Number(fields.temperature) === 0;
  const given = Object.entries(fields).filter(
    ([name, text]) => text !== '' && !(greedy && WITH_TEMPERATURE.includes(name)),
  );
  return Object.fromEntries(given.map(([name, text]) => [name, Number(text)]));
}
